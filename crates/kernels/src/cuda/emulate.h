// A device on the processor: blocks one after the other, their threads by turns.
//
// A thread runs until it is done or comes to a barrier, where it waits for the
// others of its block; all of them must come to the same ones.

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define DEVICE static inline
#define SHARED static
#define BARRIER() emulate_barrier()
#define THREAD emulated.thread
#define THREADS emulated.threads
#define BLOCK emulated.block
#define BLOCKS emulated.blocks
#define FLOAT_BITS(x) emulate_bits(x)

enum { STACK = 1 << 16, MOST = 1024 };

static struct {
  unsigned thread, threads, block, blocks;
  unsigned running, waiting;
  void (*body)(const void *);
  const void *args;
  ucontext_t scheduler, contexts[MOST];
  char is_done[MOST];
  char *stacks;
} emulated;

static inline unsigned emulate_bits(float x) {
  unsigned bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline void emulate_barrier(void) {
  unsigned thread = emulated.thread;
  emulated.waiting++;
  swapcontext(&emulated.contexts[thread], &emulated.scheduler);
  emulated.thread = thread;
}

static void emulate_thread(void) {
  emulated.body(emulated.args);
  emulated.is_done[emulated.thread] = 1;
  emulated.running--;
}

// 0; 1 if the arguments have another size, 2 if some threads of a block wait where
// others do not.
static int emulate(void (*body)(const void *), size_t want, unsigned blocks, unsigned threads,
                   const void *args, size_t size) {
  if (size != want || threads > MOST) return 1;
  if (!emulated.stacks) emulated.stacks = malloc((size_t)STACK * MOST);
  emulated.body = body;
  emulated.args = args;
  emulated.blocks = blocks;
  emulated.threads = threads;
  for (emulated.block = 0; emulated.block < blocks; emulated.block++) {
    for (unsigned t = 0; t < threads; t++) {
      ucontext_t *context = &emulated.contexts[t];
      getcontext(context);
      context->uc_stack.ss_sp = emulated.stacks + (size_t)STACK * t;
      context->uc_stack.ss_size = STACK;
      context->uc_link = &emulated.scheduler;
      makecontext(context, emulate_thread, 0);
      emulated.is_done[t] = 0;
    }
    emulated.running = threads;
    while (emulated.running) {
      emulated.waiting = 0;
      for (unsigned t = 0; t < threads; t++) {
        if (emulated.is_done[t]) continue;
        emulated.thread = t;
        swapcontext(&emulated.scheduler, &emulated.contexts[t]);
      }
      if (emulated.waiting && emulated.waiting != threads) return 2;
    }
  }
  return 0;
}

#define KERNEL(name, Args)                                                       \
  static void name##_body(const Args *a);                                        \
  static void name##_run(const void *a) { name##_body((const Args *)a); }        \
  int name(unsigned blocks, unsigned threads, const void *args, size_t size) {   \
    return emulate(name##_run, sizeof(Args), blocks, threads, args, size);       \
  }                                                                              \
  static void name##_body(const Args *a)
