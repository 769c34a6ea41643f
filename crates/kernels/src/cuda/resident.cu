// A whole scan as one kernel, whose blocks run all together: each keeps the recurrent
// weights of a few units in its shared memory, and the states cross between the blocks
// after each product, by way of the second cache.
//
// Blocks form groups, each with lanes of its own; the blocks of a group share the units
// among them. A block computes the sums of its units for 32 lanes (a chunk) at a time:
// each warp multiplies its part of the inner dimension, and the parts are added in order.
//
// What crosses lies in the order in which the threads of a product read it: bf16 as the
// fragments of `mma.m16n8k16`, two a chunk and 16 values of the inner dimension; f32 as
// 32 lanes side by side.

// Milliseconds there and back on an NVIDIA H200, 64 sequences of 100 steps, input 128, the
// gradients of weights and input included (`cargo bench --bench cells -- --device cuda`);
// PyTorch 2.11 with cuDNN, where it has the cell, without TF32:
//
//   units, format  | step by step        | this kernel          | PyTorch
//                  | lstm  gru  elman mgu | lstm  gru  elman mgu | lstm  gru  elman
//   1024 f32       | 7.9   7.2  5.5  10.1 | 12.7  13.2 4.5   7.8 | 10.7  10.2 6.3
//   1024 bf16      | 4.9   4.7  4.1   7.7 | 4.2   4.0  2.8   4.1 | 5.4   6.0  4.7
//   256 f32        | 5.1   4.9  5.3  10.2 | 2.7   2.8  1.7   2.9 | 5.1   5.1  0.8
//   256 bf16       | 4.0   4.0  4.0   7.3 | 1.8   1.9  1.4   2.3 | 5.0   4.8  3.9
//
// Versions before: without loads on their way while others are multiplied, and with memory
// that went back to the driver after each pass, 1024 units took 16.2 ms (f32) and 6.7 ms
// (bf16) for an LSTM. So in f32 a product as large as that of the LSTM of 1024 units is left
// to cuBLAS (`scan::resident`).

#include "cells.h"

enum { CHUNK = 32, WARP = 32 };
// Values of the inner dimension, or 16 of them, that are on their way at a time.
enum { FLOATS_AHEAD = 8, WORDS_AHEAD = 4 };

// What both ways have in common: `Common` in `scan/resident.rs`.
typedef struct {
  const unsigned *rows;     // [steps + 1]: the first row of each step
  const int *begins;        // [rows]: the sequence that begins there, or -1
  float *initial;           // [states, sequences, units], or its gradient
  const float *weights;     // [gates * units, units], recurrent
  unsigned char *crossing;  // [groups, 2, lanes of a group, inner dimension], zeros
  unsigned *arrived;        // [groups * WARP], zeros
  unsigned steps;
  unsigned blocks;       // of a group
  unsigned group_lanes;  // a multiple of CHUNK
  unsigned own;          // units of a block, a multiple of 8
  unsigned padded;       // units, as a multiple of 16
  unsigned inner;        // the longest inner dimension of a product
  unsigned is_short;     // whether factors are bf16
  unsigned keeps;        // whether all states are kept, not those of two steps
  unsigned room;         // lanes of the first step
  unsigned kept;         // values kept of a unit
} Common;

// `Scan<ForwardArguments>` in `scan/resident.rs`
typedef struct {
  Forward step;  // the first one
  Common all;
} ForwardScan;

// `Scan<BackwardArguments>` in `scan/resident.rs`
typedef struct {
  Backward step;  // the first one
  Common all;
} BackwardScan;

// A block's part of the work, and its shared memory.
typedef struct {
  const Common *all;
  unsigned gates;
  unsigned units;
  unsigned group, first_lane, first_unit;
  unsigned turns;  // products whose left side has crossed
  unsigned char *weights;
  float *parts;  // [warps, CHUNK, columns of a tile]
  float *sums;   // [CHUNK, columns]
} Block;

// The factors of a tile: 32 lanes, and 8, 16, 32 or 64 of `columns` columns from `first`
// on.
typedef struct {
  const unsigned char *left;
  const unsigned char *right;
  float *parts;
  unsigned inner;
  unsigned columns;
  unsigned first;
} Tile;

DEVICE unsigned lower(unsigned a, unsigned b) { return a < b ? a : b; }

DEVICE unsigned value_size(const Common *all) { return all->is_short ? 2 : 4; }

// Where a value of a chunk crosses.
DEVICE unsigned long long crossing_short(unsigned lane, unsigned k) {
  unsigned row = lane % 16, column = k % 16;
  unsigned thread = row % 8 * 4 + column % 8 / 2;
  unsigned place = (row / 8 + column / 8 * 2) * 2 + column % 2;
  return ((unsigned long long)(k / 16 * 2 + lane % CHUNK / 16) * WARP + thread) * 8 + place;
}

DEVICE unsigned long long crossing_float(unsigned lane, unsigned k) {
  return (unsigned long long)k * CHUNK + lane % CHUNK;
}

// Where a weight lies.
DEVICE unsigned weight_short(unsigned k, unsigned column, unsigned columns) {
  unsigned thread = column % 8 * 4 + k % 8 / 2, place = k % 16 / 8 * 2 + k % 2;
  return ((k / 16 * (columns / 8) + column / 8) * WARP + thread) * 4 + place;
}

DEVICE void put_weight(const Block *b, unsigned char *to, unsigned k, unsigned column,
                       unsigned columns, float weight) {
  if (b->all->is_short) {
    ((unsigned short *)to)[weight_short(k, column, columns)] = to_bf16(weight);
  } else {
    ((float *)to)[k * columns + column] = weight;
  }
}

// The chunk that crosses before a product.
DEVICE unsigned char *crossing(const Block *b, unsigned turn, unsigned lane) {
  const Common *all = b->all;
  unsigned long long chunk = (unsigned long long)CHUNK * all->inner * value_size(all);
  unsigned chunks = all->group_lanes / CHUNK;
  unsigned own = (lane - b->first_lane) / CHUNK;
  return all->crossing + ((b->group * 2 + turn % 2) * chunks + own) * chunk;
}

DEVICE void cross(const Block *b, unsigned lane, unsigned k, float value) {
  unsigned char *chunk = crossing(b, b->turns + 1, lane);
  if (b->all->is_short) {
    ((unsigned short *)chunk)[crossing_short(lane, k)] = to_bf16(value);
  } else {
    ((float *)chunk)[crossing_float(lane, k)] = value;
  }
}

// Waits until all blocks of the group have written what crosses.
DEVICE void meet(Block *b) {
  b->turns++;
  arrive_and_wait(b->all->arrived + b->group * WARP, b->turns * b->all->blocks);
}

// Products: each warp its part of the inner dimension.

DEVICE void tile_short(const Tile *t, const unsigned blocks) {
  unsigned warp = THREAD / WARP, warps = THREADS / WARP, lane = THREAD % WARP;
  unsigned count = t->inner / 16;
  const unsigned short *left = (const unsigned short *)t->left;
  const unsigned short *right = (const unsigned short *)t->right + t->first / 8 * WARP * 4;
  float sums[2][8][4] = {{{0.0f}}};
  LeftWords now[WORDS_AHEAD][2], next[WORDS_AHEAD][2];
  UNROLL for (unsigned d = 0; d < WORDS_AHEAD; d++) {
    unsigned k = lower(warp + d * warps, count - 1);
    now[d][0] = left_words(left + k * 2 * WARP * 8);
    now[d][1] = left_words(left + (k * 2 + 1) * WARP * 8);
  }
  for (unsigned first = warp; first < count; first += warps * WORDS_AHEAD) {
    UNROLL for (unsigned d = 0; d < WORDS_AHEAD; d++) {
      unsigned k = first + (WORDS_AHEAD + d) * warps;
      next[d][0] = k < count ? left_words(left + k * 2 * WARP * 8) : now[d][0];
      next[d][1] = k < count ? left_words(left + (k * 2 + 1) * WARP * 8) : now[d][1];
    }
    UNROLL for (unsigned d = 0; d < WORDS_AHEAD; d++) {
      unsigned k = first + d * warps;
      if (k < count) {
        UNROLL for (unsigned n = 0; n < 8; n++) {
          if (n >= blocks) break;
          RightWords w = right_words(right + (k * (t->columns / 8) + n) * WARP * 4);
          multiply_words(sums[0][n], now[d][0], w);
          multiply_words(sums[1][n], now[d][1], w);
        }
      }
      now[d][0] = next[d][0];
      now[d][1] = next[d][1];
    }
  }
  float *part = t->parts + warp * CHUNK * blocks * 8 + lane;
  UNROLL for (unsigned m = 0; m < 2; m++) {
    UNROLL for (unsigned n = 0; n < 8; n++) {
      if (n >= blocks) break;
      UNROLL for (unsigned i = 0; i < 4; i++) part[((m * blocks + n) * 4 + i) * WARP] = sums[m][n][i];
    }
  }
}

// The lane and the column of a sum that a thread has left among the parts of a tile.
DEVICE void place_short(unsigned at, unsigned blocks, unsigned *lane, unsigned *column) {
  unsigned thread = at % WARP, i = at / WARP % 4, n = at / WARP / 4 % blocks;
  *lane = at / WARP / 4 / blocks * 16 + i / 2 * 8 + thread / 4;
  *column = n * 8 + thread % 4 * 2 + i % 2;
}

DEVICE void tile_float(const Tile *t, const unsigned blocks) {
  unsigned warp = THREAD / WARP, warps = THREADS / WARP, lane = THREAD % WARP;
  unsigned row = lane % 8 * 4, column = lane / 8 * blocks * 2;
  const float *left = (const float *)t->left + row;
  const float *right = (const float *)t->right + t->first + column;
  float sums[4][8] = {{0.0f}};
  Floats4 now[FLOATS_AHEAD], next[FLOATS_AHEAD];
  UNROLL for (unsigned d = 0; d < FLOATS_AHEAD; d++) {
    unsigned k = lower(warp * FLOATS_AHEAD + d, t->inner - 1);
    now[d] = left_floats(left + (unsigned long long)k * CHUNK);
  }
  for (unsigned first = warp * FLOATS_AHEAD; first < t->inner; first += warps * FLOATS_AHEAD) {
    UNROLL for (unsigned d = 0; d < FLOATS_AHEAD; d++) {
      unsigned k = first + warps * FLOATS_AHEAD + d;
      next[d] = k < t->inner ? left_floats(left + (unsigned long long)k * CHUNK) : now[d];
    }
    UNROLL for (unsigned d = 0; d < FLOATS_AHEAD; d++) {
      const float *w = right + (first + d) * t->columns;
      UNROLL for (unsigned c = 0; c < 8; c += 2) {
        if (c >= blocks * 2) break;
        Floats2 pair = *(const Floats2 *)(w + c);
        UNROLL for (unsigned r = 0; r < 4; r++) {
          sums[r][c] += now[d].v[r] * pair.v[0];
          sums[r][c + 1] += now[d].v[r] * pair.v[1];
        }
      }
      now[d] = next[d];
    }
  }
  float *part = t->parts + warp * CHUNK * blocks * 8 + lane;
  UNROLL for (unsigned r = 0; r < 4; r++) {
    UNROLL for (unsigned c = 0; c < 8; c++) {
      if (c >= blocks * 2) break;
      part[(r * blocks * 2 + c) * WARP] = sums[r][c];
    }
  }
}

DEVICE void place_float(unsigned at, unsigned blocks, unsigned *lane, unsigned *column) {
  unsigned thread = at % WARP, r = at / WARP / (blocks * 2), c = at / WARP % (blocks * 2);
  *lane = thread % 8 * 4 + r;
  *column = thread / 8 * blocks * 2 + c;
}

// Once for each shape, not once for each cell.
DEVICE_ONCE void tile_short_1(const Tile *t) { tile_short(t, 1); }
DEVICE_ONCE void tile_short_2(const Tile *t) { tile_short(t, 2); }
DEVICE_ONCE void tile_short_4(const Tile *t) { tile_short(t, 4); }
DEVICE_ONCE void tile_short_8(const Tile *t) { tile_short(t, 8); }
DEVICE_ONCE void tile_float_1(const Tile *t) { tile_float(t, 1); }
DEVICE_ONCE void tile_float_2(const Tile *t) { tile_float(t, 2); }
DEVICE_ONCE void tile_float_4(const Tile *t) { tile_float(t, 4); }

// Leaves the product of a chunk in the sums of the block, from a column on.
DEVICE void multiply(const Block *b, unsigned lane, const unsigned char *weights, unsigned inner,
                     unsigned columns, float *sums, unsigned row) {
  unsigned blocks = columns % 32 == 0 ? 4 : columns % 16 == 0 ? 2 : 1;
  if (b->all->is_short && columns % 64 == 0) blocks = 8;
  Tile t;
  t.left = crossing(b, b->turns, lane);
  t.right = weights;
  t.parts = b->parts;
  t.inner = inner;
  t.columns = columns;
  for (t.first = 0; t.first < columns; t.first += blocks * 8) {
    if (b->all->is_short) {
      if (blocks == 8) tile_short_8(&t);
      else if (blocks == 4) tile_short_4(&t);
      else if (blocks == 2) tile_short_2(&t);
      else tile_short_1(&t);
    } else {
      if (blocks == 4) tile_float_4(&t);
      else if (blocks == 2) tile_float_2(&t);
      else tile_float_1(&t);
    }
    BARRIER();
    unsigned size = CHUNK * blocks * 8;
    for (unsigned at = THREAD; at < size; at += THREADS) {
      float sum = 0.0f;
      for (unsigned warp = 0; warp < THREADS / WARP; warp++) sum += b->parts[warp * size + at];
      unsigned of, column;
      if (b->all->is_short) place_short(at, blocks, &of, &column);
      else place_float(at, blocks, &of, &column);
      sums[of * row + t.first + column] = sum;
    }
    BARRIER();
  }
}

DEVICE Block block_of(const Common *all, unsigned gates, unsigned units, unsigned char *memory) {
  Block b;
  b.all = all;
  b.gates = gates;
  b.units = units;
  b.group = BLOCK / all->blocks;
  b.first_lane = b.group * all->group_lanes;
  b.first_unit = BLOCK % all->blocks * all->own;
  b.turns = 0;
  b.weights = memory;
  b.parts = (float *)(memory + gates * all->own * all->padded * value_size(all));
  b.sums = b.parts + THREADS / WARP * CHUNK * (all->is_short ? 64 : 32);
  return b;
}

// Of each chunk, each thread has the same units of the same lanes all along.
DEVICE int own_unit(const Block *b, unsigned chunk, unsigned index, unsigned busy,
                    const unsigned *tokens, Unit *u) {
  u->lane = chunk + index / b->all->own;
  u->unit = b->first_unit + index % b->all->own;
  if (u->lane >= busy || u->unit >= b->units) return 0;
  u->at = (unsigned long long)u->lane * b->units + u->unit;
  u->token = tokens[u->lane];
  return 1;
}

typedef void (*UnitForward)(const Forward *, const Unit *);
typedef void (*UnitBackward)(const Backward *, const Unit *);

// The way there. `f` is the step before, whose next states are those before the step of
// `row`: gives those of sequences that begin their first ones, and lets all cross.
DEVICE void settle(const Block *b, const Forward *f, unsigned row, unsigned busy) {
  const Common *all = b->all;
  unsigned end = lower(busy, b->first_lane + all->group_lanes);
  for (unsigned chunk = b->first_lane; chunk < end; chunk += CHUNK) {
    for (unsigned index = THREAD; index < CHUNK * all->own; index += THREADS) {
      Unit u;
      if (!own_unit(b, chunk, index, end, f->tokens, &u)) continue;
      for (unsigned gate = 0; gate < b->gates; gate++) {
        PREFETCH(f->input + gate_of(u.token, b->gates, gate, b->units, u.unit));
      }
      int begins = all->begins[row + u.lane];
      if (begins >= 0) {
        unsigned long long from = (unsigned long long)begins * b->units + u.unit;
        float hidden = all->initial[from];
        f->next_hidden[u.at] = hidden;
        if (f->words) f->words[u.at] = to_bf16(hidden);
        if (f->next_cell) {
          from += (unsigned long long)f->sequences * b->units;
          f->next_cell[u.at] = all->initial[from];
        }
      }
      cross(b, u.lane, u.unit, f->next_hidden[u.at]);
    }
  }
}

DEVICE void load_forward(const Block *b, const unsigned first_gates, const unsigned second_gates) {
  unsigned char *to = b->weights;
  unsigned own = b->all->own, padded = b->all->padded;
  for (unsigned phase = 0; phase < 2; phase++) {
    unsigned gates = phase ? second_gates : first_gates, columns = gates * own;
    for (unsigned at = THREAD; at < columns * padded; at += THREADS) {
      unsigned k = at % padded, column = at / padded;
      unsigned unit = b->first_unit + column % own;
      unsigned gate = (phase ? first_gates : 0) + column / own;
      unsigned long long row = (unsigned long long)gate * b->units + unit;
      int is_there = k < b->units && unit < b->units;
      put_weight(b, to, k, column, columns, is_there ? b->all->weights[row * b->units + k] : 0.0f);
    }
    to += columns * padded * value_size(b->all);
  }
}

DEVICE void forward(const ForwardScan *a, unsigned char *memory, const unsigned first_gates,
                    const unsigned second_gates, UnitForward first, UnitForward second) {
  const Common *all = &a->all;
  const unsigned gates = first_gates + second_gates;
  Forward f = a->step;
  Block b = block_of(all, gates, f.units, memory);
  load_forward(&b, first_gates, second_gates);
  unsigned long long units = f.units;
  // The states before the first step lie where a step before it would leave them.
  f.next_hidden = (float *)f.hidden;
  f.next_cell = (float *)f.cell;
  settle(&b, &f, 0, all->rows[1]);
  for (unsigned step = 0; step < all->steps; step++) {
    unsigned row = all->rows[step], busy = all->rows[step + 1] - row;
    if (busy <= b.first_lane) break;
    unsigned long long before = all->keeps ? row : step % 2 * all->room;
    unsigned long long after = all->keeps ? row + busy : (step + 1) % 2 * all->room;
    unsigned long long kept = all->keeps ? row : 0;
    f.tokens = a->step.tokens + row;
    f.ends = a->step.ends + row;
    f.hidden = a->step.hidden + before * units;
    f.next_hidden = (float *)a->step.hidden + after * units;
    if (f.cell) {
      f.cell = a->step.cell + before * units;
      f.next_cell = (float *)a->step.cell + after * units;
    }
    if (f.words) f.words = a->step.words + after * units;
    if (f.gated) f.gated = a->step.gated + kept * units;
    if (f.gated_words) f.gated_words = a->step.gated_words + kept * units;
    f.kept = a->step.kept + kept * all->kept * units;
    f.lanes = busy;
    unsigned end = lower(busy, b.first_lane + all->group_lanes);
    for (unsigned phase = 0; phase < (second ? 2 : 1); phase++) {
      meet(&b);
      unsigned columns = (phase ? second_gates : first_gates) * all->own;
      unsigned skipped = phase ? first_gates * all->own : 0;
      const unsigned char *weights = b.weights + skipped * all->padded * value_size(all);
      for (unsigned chunk = b.first_lane; chunk < end; chunk += CHUNK) {
        multiply(&b, chunk, weights, all->padded, columns, b.sums + skipped, gates * all->own);
        for (unsigned index = THREAD; index < CHUNK * all->own; index += THREADS) {
          Unit u;
          if (!own_unit(&b, chunk, index, end, f.tokens, &u)) continue;
          u.sums = b.sums + index / all->own * gates * all->own + index % all->own;
          u.next = all->own;
          if (phase) {
            second(&f, &u);
          } else {
            first(&f, &u);
            if (second) cross(&b, u.lane, u.unit, f.gated[u.at]);
          }
        }
      }
    }
    if (step + 1 < all->steps) {
      unsigned next = row + busy;
      f.tokens = a->step.tokens + next;
      settle(&b, &f, next, all->rows[step + 2] - next);
    }
  }
}

// The way back.

// What the step of a row will read.
DEVICE void look_ahead(const Block *b, const Backward *first, unsigned row, unsigned busy) {
  unsigned end = lower(busy, b->first_lane + b->all->group_lanes);
  unsigned long long units = b->units;
  for (unsigned chunk = b->first_lane; chunk < end; chunk += CHUNK) {
    for (unsigned index = THREAD; index < CHUNK * b->all->own; index += THREADS) {
      Unit u;
      if (!own_unit(b, chunk, index, end, first->tokens + row, &u)) continue;
      unsigned long long at = row * units + u.at;
      PREFETCH(first->upstream + u.token * units + u.unit);
      PREFETCH(first->hidden + at);
      if (first->cell) PREFETCH(first->cell + at);
      for (unsigned slot = 0; slot < b->all->kept; slot++) {
        PREFETCH(first->kept + gate_of(row + u.lane, b->all->kept, slot, b->units, u.unit));
      }
    }
  }
}

DEVICE void load_backward(const Block *b, const unsigned first_gates, const unsigned second_gates) {
  unsigned char *to = b->weights;
  unsigned own = b->all->own, padded = b->all->padded;
  for (unsigned phase = 0; phase < 2; phase++) {
    unsigned gates = phase ? second_gates : first_gates;
    for (unsigned at = THREAD; at < gates * padded * own; at += THREADS) {
      unsigned column = at % own, k = at / own;
      unsigned unit = b->first_unit + column, from = k % padded;
      unsigned gate = (phase ? first_gates : 0) + k / padded;
      unsigned long long row = (unsigned long long)gate * b->units + from;
      int is_there = from < b->units && unit < b->units;
      put_weight(b, to, k, column, own, is_there ? b->all->weights[row * b->units + unit] : 0.0f);
    }
    to += gates * padded * own * value_size(b->all);
  }
}

DEVICE void backward(const BackwardScan *a, unsigned char *memory, const unsigned first_gates,
                     const unsigned second_gates, UnitBackward first, UnitBackward second) {
  const Common *all = &a->all;
  const unsigned gates = first_gates + second_gates;
  Backward f = a->step;
  Block b = block_of(all, gates, f.units, memory);
  load_backward(&b, first_gates, second_gates);
  unsigned long long units = f.units;
  for (unsigned step = all->steps; step-- > 0;) {
    unsigned row = all->rows[step], busy = all->rows[step + 1] - row;
    if (busy <= b.first_lane) continue;
    f.tokens = a->step.tokens + row;
    f.ends = a->step.ends + row;
    f.hidden = a->step.hidden + row * units;
    if (f.cell) f.cell = a->step.cell + row * units;
    f.kept = a->step.kept + row * all->kept * units;
    f.d_sums = a->step.d_sums + row * gates * units;
    if (f.words) f.words = a->step.words + row * gates * units;
    f.lanes = busy;
    unsigned end = lower(busy, b.first_lane + all->group_lanes);
    for (unsigned phase = second ? 2 : 1; phase-- > 0;) {
      unsigned skipped = phase ? first_gates : 0, count = phase ? second_gates : first_gates;
      for (unsigned chunk = b.first_lane; chunk < end; chunk += CHUNK) {
        for (unsigned index = THREAD; index < CHUNK * all->own; index += THREADS) {
          Unit u;
          if (!own_unit(&b, chunk, index, end, f.tokens, &u)) continue;
          if (phase) second(&f, &u);
          else first(&f, &u);
          for (unsigned gate = 0; gate < count; gate++) {
            unsigned long long at = gate_of(u.lane, gates, skipped + gate, f.units, u.unit);
            cross(&b, u.lane, gate * all->padded + u.unit, f.d_sums[at]);
          }
        }
      }
      if (phase == 0 && step > 0) {
        look_ahead(&b, &a->step, all->rows[step - 1], row - all->rows[step - 1]);
      }
      meet(&b);
      unsigned inner = count * all->padded;
      const unsigned char *weights =
          b.weights + skipped * all->padded * all->own * value_size(all);
      for (unsigned chunk = b.first_lane; chunk < end; chunk += CHUNK) {
        multiply(&b, chunk, weights, inner, all->own, b.sums, all->own);
        for (unsigned index = THREAD; index < CHUNK * all->own; index += THREADS) {
          Unit u;
          if (!own_unit(&b, chunk, index, end, f.tokens, &u)) continue;
          if (phase) f.d_gated[u.at] = b.sums[index];
          else f.d_hidden[u.at] += b.sums[index];
          int begins = phase ? -1 : all->begins[row + u.lane];
          if (begins < 0) continue;
          unsigned long long to = (unsigned long long)begins * units + u.unit;
          all->initial[to] = f.d_hidden[u.at];
          if (f.d_cell) all->initial[f.sequences * units + to] = f.d_cell[u.at];
        }
      }
    }
  }
}

#define SCAN(cell, first_gates, second_gates, second_forward, second_backward)           \
  KERNEL(cell##_forward, ForwardScan) {                                                  \
    SHARED_MEMORY(memory);                                                               \
    forward(a, memory, first_gates, second_gates, cell##_forward_0, second_forward);     \
  }                                                                                      \
  KERNEL(cell##_backward, BackwardScan) {                                                \
    SHARED_MEMORY(memory);                                                               \
    backward(a, memory, first_gates, second_gates, cell##_backward_0, second_backward);  \
  }
#define ONE(cell, first) SCAN(cell, first, 0, 0, 0)
#define TWO(cell, first, second) SCAN(cell, first, second, cell##_forward_1, cell##_backward_1)

CELLS(ONE, TWO)
