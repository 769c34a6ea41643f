// The recurrent cells step by step, one thread a unit of a lane, and what goes on
// around them.

#include "cells.h"

DEVICE int unit_of(const unsigned *tokens, unsigned lanes, unsigned units, Unit *u) {
  unsigned long long index = INDEX;
  if (index >= (unsigned long long)lanes * units) return 0;
  u->lane = (unsigned)(index / units);
  u->unit = (unsigned)(index % units);
  u->at = index;
  u->token = tokens[u->lane];
  u->next = units;
  return 1;
}

#define PHASE(cell, phase)                                                        \
  KERNEL(cell##_forward_##phase##_step, Forward) {                                \
    Unit u;                                                                       \
    if (!unit_of(a->tokens, a->lanes, a->units, &u)) return;                      \
    u.sums = a->sums + gate_of(u.lane, a->gates, 0, a->units, u.unit);            \
    cell##_forward_##phase(a, &u);                                                \
  }                                                                               \
  KERNEL(cell##_backward_##phase##_step, Backward) {                              \
    Unit u;                                                                       \
    if (unit_of(a->tokens, a->lanes, a->units, &u)) cell##_backward_##phase(a, &u); \
  }
#define ONE(cell, first) PHASE(cell, 0)
#define TWO(cell, first, second) PHASE(cell, 0) PHASE(cell, 1)

CELLS(ONE, TWO)

// First states into the lanes of sequences that begin, and their gradients back.

// `Begin` in `scan/mod.rs`
typedef struct {
  const unsigned *lanes;      // of each sequence that begins: its lane
  const unsigned *sequences;  // and its number
  float *states;              // [states, all sequences, units]
  float *hidden;              // [lanes, units]
  float *cell;                // [lanes, units], or null
  unsigned short *words;      // hidden as bf16, or null
  unsigned count;
  unsigned units;
  unsigned all;
  unsigned unused;
} Begin;

KERNEL(begin, Begin) {
  unsigned long long index = INDEX;
  if (index >= (unsigned long long)a->count * a->units) return;
  unsigned n = (unsigned)(index / a->units), unit = (unsigned)(index % a->units);
  unsigned long long from = (unsigned long long)a->sequences[n] * a->units + unit;
  unsigned long long to = (unsigned long long)a->lanes[n] * a->units + unit;
  float hidden = a->states[from];
  a->hidden[to] = hidden;
  if (a->words) a->words[to] = to_bf16(hidden);
  if (a->cell) a->cell[to] = a->states[(unsigned long long)a->all * a->units + from];
}

KERNEL(begin_back, Begin) {
  unsigned long long index = INDEX;
  if (index >= (unsigned long long)a->count * a->units) return;
  unsigned n = (unsigned)(index / a->units), unit = (unsigned)(index % a->units);
  unsigned long long to = (unsigned long long)a->sequences[n] * a->units + unit;
  unsigned long long from = (unsigned long long)a->lanes[n] * a->units + unit;
  a->states[to] = a->hidden[from];
  if (a->cell) a->states[(unsigned long long)a->all * a->units + to] = a->cell[from];
}

// Gradients of peepholes: first a thread for each part of the rows and each unit of a
// vector, then one that adds up the parts. All in order.

// `Peepholes` in `scan/backward.rs`
typedef struct {
  const float *d_sums;  // [rows, gates * units]
  const float *cell;    // [rows, units], before the steps
  const float *kept;    // [rows, 4 * units]
  float *parts;         // [parts, 3, units]
  float *d_vectors;     // [3, units]
  unsigned rows;
  unsigned units;
  unsigned part;  // rows of a part
  unsigned count;  // parts
} Peepholes;

KERNEL(peepholes_parts, Peepholes) {
  unsigned long long index = INDEX, values = 3ull * a->units;
  if (index >= values * a->count) return;
  unsigned first = (unsigned)(index / values) * a->part, at = (unsigned)(index % values);
  unsigned vector = at / a->units, unit = at % a->units;
  unsigned gate = vector == 2 ? 3 : vector;
  float sum = 0.0f;
  for (unsigned row = first; row < first + a->part && row < a->rows; row++) {
    float seen = a->cell[(unsigned long long)row * a->units + unit];
    if (vector == 2) {
      const float *kept = a->kept + gate_of(row, 4, 0, a->units, unit);
      seen = kept[a->units] * seen + kept[0] * kept[2 * a->units];
    }
    sum += a->d_sums[gate_of(row, 4, gate, a->units, unit)] * seen;
  }
  a->parts[index] = sum;
}

KERNEL(peepholes_back, Peepholes) {
  unsigned long long index = INDEX, values = 3ull * a->units;
  if (index >= values) return;
  float sum = 0.0f;
  for (unsigned part = 0; part < a->count; part++) sum += a->parts[part * values + index];
  a->d_vectors[index] = sum;
}

// Copies.

// `cuda::Copying`
typedef struct {
  const float *from;
  float *to;
  unsigned long long count;
} Copying;

KERNEL(copy, Copying) {
  unsigned long long index = INDEX;
  if (index < a->count) a->to[index] = a->from[index];
}

// As bf16.
KERNEL(to_words, Copying) {
  unsigned long long index = INDEX;
  if (index < a->count) ((unsigned short *)a->to)[index] = to_bf16(a->from[index]);
}
