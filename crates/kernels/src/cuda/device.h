// What the kernels need of a device, for nvcc and, in emulation, for a C compiler.
//
// A kernel takes one structure by value, laid out as its twin in Rust, and is
// written in what C and CUDA have in common. `cuda/emulator.rs` compiles the same
// source for the processor and runs it there, thread by thread.

#ifdef __CUDACC__

#define DEVICE static __device__ __forceinline__
#define SHARED __shared__
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
