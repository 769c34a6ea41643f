// A device on the processor: the threads of a block by turns, blocks one after the
// other, or all of them by turns if they run together.
//
// A thread runs until it is done, comes to a barrier, where it waits for the others
// of its block, or waits for other blocks.

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define DEVICE static inline
#define DEVICE_ONCE static
#define UNROLL
#define SHARED_MEMORY(name) unsigned char *name = emulated.memory + emulated.block * emulated.shared
#define PREFETCH(at) ((void)(at))
#define BARRIER() emulate_barrier()
#define THREAD emulated.thread
#define THREADS emulated.threads
#define BLOCK emulated.block
#define BLOCKS emulated.blocks
#define FLOAT_BITS(x) emulate_bits(x)

enum { STACK = 1 << 15, MOST = 1024 };

// What a thread waits for.
enum { NOTHING, BARRIER_OF_BLOCK, OTHER_BLOCKS, DONE };

typedef struct {
  ucontext_t context;
  unsigned waits;
} EmulatedThread;

static struct {
  unsigned thread, threads, block, blocks;
  void (*body)(const void *);
  const void *args;
  size_t shared;
  unsigned char *memory;
  // Of all blocks that run together.
  EmulatedThread *all;
  unsigned char *stacks;
  size_t room;
  unsigned first;
  ucontext_t scheduler;
} emulated;

static inline unsigned emulate_bits(float x) {
  unsigned bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static EmulatedThread *emulate_current(void) {
  return &emulated.all[(size_t)(emulated.block - emulated.first) * emulated.threads + emulated.thread];
}

static void emulate_wait(unsigned what) {
  EmulatedThread *own = emulate_current();
  own->waits = what;
  swapcontext(&own->context, &emulated.scheduler);
}

static inline void emulate_barrier(void) { emulate_wait(BARRIER_OF_BLOCK); }

static void emulate_thread(void) {
  emulated.body(emulated.args);
  emulate_current()->waits = DONE;
}

// Runs the threads of a block once, as far as they come. Whether one of them has come
// on, or -1 if some wait at a barrier where others are done.
static int emulate_block(unsigned block) {
  EmulatedThread *threads = emulated.all + (size_t)(block - emulated.first) * emulated.threads;
  unsigned at_barrier = 0, done = 0;
  for (unsigned t = 0; t < emulated.threads; t++) {
    if (threads[t].waits == NOTHING || threads[t].waits == OTHER_BLOCKS) {
      threads[t].waits = NOTHING;
      emulated.block = block;
      emulated.thread = t;
      swapcontext(&emulated.scheduler, &threads[t].context);
    }
    at_barrier += threads[t].waits == BARRIER_OF_BLOCK;
    done += threads[t].waits == DONE;
  }
  if (done == emulated.threads) return 0;
  if (at_barrier && at_barrier + done == emulated.threads && done) return -1;
  if (at_barrier < emulated.threads) return 0;
  for (unsigned t = 0; t < emulated.threads; t++) threads[t].waits = NOTHING;
  return 1;
}

// Runs `count` blocks by turns. 2 if threads of a block wait where others do not, 3 if
// blocks wait for what never comes.
static int emulate_blocks(unsigned first, unsigned count) {
  size_t threads = (size_t)count * emulated.threads;
  if (threads > emulated.room) {
    free(emulated.all);
    free(emulated.stacks);
    emulated.all = malloc(threads * sizeof *emulated.all);
    emulated.stacks = malloc(threads * STACK);
    emulated.room = threads;
  }
  emulated.first = first;
  for (size_t t = 0; t < threads; t++) {
    ucontext_t *context = &emulated.all[t].context;
    getcontext(context);
    context->uc_stack.ss_sp = emulated.stacks + STACK * t;
    context->uc_stack.ss_size = STACK;
    context->uc_link = &emulated.scheduler;
    makecontext(context, emulate_thread, 0);
    emulated.all[t].waits = NOTHING;
  }
  for (unsigned idle = 0; idle < 4;) {
    int moved = 0, waits = 0;
    for (unsigned block = first; block < first + count; block++) {
      int result = emulate_block(block);
      if (result < 0) return 2;
      moved |= result;
    }
    for (size_t t = 0; t < threads; t++) waits |= emulated.all[t].waits != DONE;
    if (!waits) return 0;
    idle = moved ? 0 : idle + 1;
  }
  return 3;
}

// 0; 1 if the arguments have another size; else as above.
static int emulate(void (*body)(const void *), size_t want, unsigned blocks, unsigned threads,
                   size_t shared, int together, const void *args, size_t size) {
  if (size != want || threads > MOST) return 1;
  emulated.body = body;
  emulated.args = args;
  emulated.blocks = blocks;
  emulated.threads = threads;
  emulated.shared = shared;
  emulated.memory = malloc(shared * blocks + 1);
  // No numbers, so that a use of what nobody wrote is seen.
  memset(emulated.memory, 0xff, shared * blocks + 1);
  int status = 0;
  for (unsigned block = 0; block < blocks && !status; block += together ? blocks : 1) {
    status = emulate_blocks(block, together ? blocks : 1);
  }
  free(emulated.memory);
  return status;
}

#define KERNEL(name, Args)                                                             \
  static void name##_body(const Args *a);                                              \
  static void name##_run(const void *a) { name##_body((const Args *)a); }              \
  int name(unsigned blocks, unsigned threads, size_t shared, int together,             \
           const void *args, size_t size) {                                            \
    return emulate(name##_run, sizeof(Args), blocks, threads, shared, together, args,  \
                   size);                                                              \
  }                                                                                    \
  static void name##_body(const Args *a)

typedef struct {
  float v[4];
} Floats4;
typedef struct {
  float v[2];
} Floats2;

static inline Floats4 left_floats(const float *at) { return *(const Floats4 *)at; }

// The whole tiles: a thread finds the parts of the others of its warp there.
typedef const unsigned short *LeftWords;
typedef const unsigned short *RightWords;

static inline LeftWords left_words(const unsigned short *tile) { return tile; }
static inline RightWords right_words(const unsigned short *tile) { return tile; }

static inline float emulate_word(unsigned short word) {
  unsigned bits = (unsigned)word << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// What `mma.m16n8k16` gives a thread: PTX ISA, fragments of m16n8k16 with bf16.
static inline void multiply_words(float *sums, LeftWords a, RightWords b) {
  unsigned lane = emulated.thread % 32;
  for (unsigned i = 0; i < 4; i++) {
    unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    for (unsigned k = 0; k < 16; k++) {
      unsigned left_thread = row % 8 * 4 + k % 8 / 2, right_thread = column * 4 + k % 8 / 2;
      unsigned left = (row / 8 + k / 8 * 2) * 2 + k % 2, right = k / 8 * 2 + k % 2;
      sums[i] += emulate_word(a[left_thread * 8 + left]) * emulate_word(b[right_thread * 4 + right]);
    }
  }
}

static inline void arrive_and_wait(unsigned *arrived, unsigned wanted) {
  emulate_barrier();
  if (emulated.thread == 0) ++*arrived;
  while (*arrived < wanted) emulate_wait(OTHER_BLOCKS);
}
