// What the kernels need of a device, for nvcc and, in emulation, for a C compiler.
//
// A kernel takes one structure by value, laid out as its twin in Rust, and is
// written in what C and CUDA have in common. `cuda/emulator.rs` compiles the same
// source for the processor and runs it there, thread by thread.

#ifdef __CUDACC__

#define DEVICE static __device__ __forceinline__
#define DEVICE_ONCE static __device__ __noinline__
#define UNROLL _Pragma("unroll")
// Memory that the threads of a block share, of the size given at the launch.
#define SHARED_MEMORY(name) extern __shared__ __align__(16) unsigned char name[]
#define BARRIER() __syncthreads()
#define THREAD threadIdx.x
#define THREADS blockDim.x
#define BLOCK blockIdx.x
#define BLOCKS gridDim.x
#define FLOAT_BITS(x) __float_as_uint(x)
#define KERNEL(name, Args)                                          \
  static __device__ void name##_body(const Args *a);                \
  extern "C" __global__ void name(const Args args) {                \
    name##_body(&args);                                             \
  }                                                                 \
  static __device__ __forceinline__ void name##_body(const Args *a)

// Brings a line into the second cache.
#define PREFETCH(at) asm volatile("prefetch.global.L2 [%0];" ::"l"(at))

// Values that other blocks have written, past the first cache.
typedef struct __align__(16) { float v[4]; } Floats4;
typedef struct __align__(8) { float v[2]; } Floats2;
DEVICE Floats4 left_floats(const float *at) {
  float4 x = __ldcg((const float4 *)at);
  Floats4 values = {{x.x, x.y, x.z, x.w}};
  return values;
}

// A thread's part of the factors of `mma.m16n8k16`, which lie thread by thread.
typedef uint4 LeftWords;
typedef uint2 RightWords;
DEVICE LeftWords left_words(const unsigned short *tile) {
  return __ldcg((const uint4 *)tile + threadIdx.x % 32);
}
DEVICE RightWords right_words(const unsigned short *tile) {
  return ((const uint2 *)tile)[threadIdx.x % 32];
}
#if __CUDA_ARCH__ >= 800
DEVICE void multiply_words(float *sums, LeftWords a, RightWords b) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b.x), "r"(b.y));
}
#endif

// Waits until so many blocks have come here, all in all, and sees what they wrote.
DEVICE void arrive_and_wait(unsigned *arrived, unsigned wanted) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(arrived, 1u);
    while (*(volatile unsigned *)arrived < wanted) {}
    __threadfence();
  }
  __syncthreads();
}

#else

#include "emulate.h"

#endif

// Number of this thread among all of the launch.
#define INDEX ((unsigned long long)BLOCK * THREADS + THREAD)

// A bf16 value, the nearest to `x`, ties to even.
DEVICE unsigned short to_bf16(float x) {
  unsigned bits = FLOAT_BITS(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (unsigned short)((bits >> 16) | 0x40u);
  return (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
