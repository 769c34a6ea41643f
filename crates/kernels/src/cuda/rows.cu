// Rows of a table, picked by number, and the sums of gradients on their way back to it.

#include "device.h"

// `rows::Picking`
typedef struct {
  const float *table;   // [rows, columns]
  const unsigned *ids;  // [count]: a row, or ~0 for zeros
  float *out;           // [count, columns]
  unsigned long long values;
  unsigned columns;
  unsigned unused;
} Picking;

KERNEL(rows_pick, Picking) {
  unsigned long long index = INDEX;
  if (index >= a->values) return;
  unsigned id = a->ids[index / a->columns];
  unsigned long long column = index % a->columns;
  a->out[index] = id == ~0u ? 0.0f : a->table[(unsigned long long)id * a->columns + column];
}

// `rows::Summing`
typedef struct {
  const float *gradient;   // [count, columns]
  const unsigned *firsts;  // [rows + 1]: of each row, where its places begin
  const unsigned *places;  // the rows of the gradient, row by row, in order
  float *out;              // [rows, columns]
  unsigned long long values;
  unsigned columns;
  unsigned unused;
} Summing;

KERNEL(rows_sum, Summing) {
  unsigned long long index = INDEX;
  if (index >= a->values) return;
  unsigned long long row = index / a->columns, column = index % a->columns;
  float sum = 0.0f;
  for (unsigned at = a->firsts[row]; at < a->firsts[row + 1]; at++) {
    sum += a->gradient[(unsigned long long)a->places[at] * a->columns + column];
  }
  a->out[index] = sum;
}
