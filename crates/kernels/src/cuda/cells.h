// The recurrent cells between the products: what one thread does for a unit of a lane.
//
// The mathematics of each cell stands in `cells/<cell>.rs`. Sums are those of the
// recurrent products of a step, gate by gate, `[lanes, gates * units]`; the input
// side has a row a token. Rows of the scan are numbered step by step: those of a
// step lie one behind the other, the busy lanes first.

#include "device.h"

// `ForwardArguments` in `scan/forward.rs`
typedef struct {
  // Of each lane of the step: its token, its sequence if it ends here, else -1.
  const unsigned *tokens;
  const int *ends;
  const float *sums;       // [lanes, gates * units]
  const float *input;      // [tokens, gates * units]
  const float *bias_ih;    // [gates * units]
  const float *bias_hh;    // [gates * units]
  const float *vectors;    // [vectors, units]
  const float *hidden;     // [lanes, units], before the step
  const float *cell;       // [lanes, units], before the step
  float *next_hidden;      // [lanes, units], before the next step
  float *next_cell;        // [lanes, units], before the next step
  unsigned short *words;   // next_hidden as bf16, or null
  float *gated;            // [lanes, units], what the second phase multiplies
  unsigned short *gated_words;  // gated as bf16, or null
  float *kept;             // [lanes, kept * units]
  float *out;              // [tokens, units]
  float *last;             // [states, sequences, units]
  unsigned lanes;
  unsigned units;
  unsigned sequences;
  unsigned gates;
} Forward;

// `BackwardArguments` in `scan/backward.rs`
typedef struct {
  const unsigned *tokens;
  const int *ends;
  const float *vectors;    // [vectors, units]
  const float *hidden;     // [lanes, units], before the step
  const float *cell;       // [lanes, units], before the step
  const float *kept;       // [lanes, kept * units]
  const float *upstream;   // [tokens, units], of the hidden states
  const float *last;       // [states, sequences, units], of the last states
  float *d_gated;          // [lanes, units], of what the second phase multiplied
  float *d_hidden;         // [lanes, units], in: after the step; out: before, past the products
  float *d_cell;           // [lanes, units]
  float *d_sums;           // [lanes, gates * units]
  unsigned short *words;   // d_sums as bf16, or null
  float *d_input;          // [tokens, gates * units]
  unsigned lanes;
  unsigned units;
  unsigned sequences;
  unsigned gates;
} Backward;

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// Slopes where the value of the function is `x`.
DEVICE float sigmoid_slope(float x) { return x * (1.0f - x); }
DEVICE float tanh_slope(float x) { return 1.0f - x * x; }

// A unit of a lane: where it finds its values. `count` is the number of gates, or
// of kept values.
typedef struct {
  unsigned lane, unit;
  unsigned long long at;     // in [lanes, units]
  unsigned long long token;  // of the lane
  const float *sums;         // of the first gate; none on the way back
  unsigned next;             // from there to the sum of the next gate
} Unit;

DEVICE unsigned long long gate_of(unsigned long long row, unsigned gates, unsigned gate,
                                  unsigned units, unsigned unit) {
  return (row * gates + gate) * units + unit;
}

// The input side of a gate, without the bias of the recurrent one.
DEVICE float input_side(const Forward *a, const Unit *u, unsigned gates, unsigned gate) {
  return a->input[gate_of(u->token, gates, gate, a->units, u->unit)] +
         a->bias_ih[gate * a->units + u->unit];
}

// The recurrent side of a gate.
DEVICE float recurrent_side(const Forward *a, const Unit *u, unsigned gate) {
  return u->sums[gate * u->next] + a->bias_hh[gate * a->units + u->unit];
}

DEVICE float sum_of(const Forward *a, const Unit *u, unsigned gates, unsigned gate) {
  return input_side(a, u, gates, gate) + recurrent_side(a, u, gate);
}

DEVICE void keep(const Forward *a, const Unit *u, unsigned count, unsigned slot, float value) {
  a->kept[gate_of(u->lane, count, slot, a->units, u->unit)] = value;
}

DEVICE float kept(const float *values, unsigned units, const Unit *u, unsigned count,
                  unsigned slot) {
  return values[gate_of(u->lane, count, slot, units, u->unit)];
}

// The state after a step, for the next one or for good.
DEVICE void finish(const Forward *a, const Unit *u, float hidden) {
  int end = a->ends[u->lane];
  a->out[u->token * a->units + u->unit] = hidden;
  if (end >= 0) {
    a->last[(unsigned long long)end * a->units + u->unit] = hidden;
  } else {
    a->next_hidden[u->at] = hidden;
    if (a->words) a->words[u->at] = to_bf16(hidden);
  }
}

DEVICE void finish_cell(const Forward *a, const Unit *u, float cell) {
  int end = a->ends[u->lane];
  if (end >= 0) {
    a->last[((unsigned long long)a->sequences + end) * a->units + u->unit] = cell;
  } else {
    a->next_cell[u->at] = cell;
  }
}

DEVICE void gate_next(const Forward *a, const Unit *u, float value) {
  a->gated[u->at] = value;
  if (a->gated_words) a->gated_words[u->at] = to_bf16(value);
}

// The gradient of the hidden (0) or cell state (1) after a step.
DEVICE float state_gradient(const Backward *a, const Unit *u, unsigned state) {
  int end = a->ends[u->lane];
  if (end < 0) return (state ? a->d_cell : a->d_hidden)[u->at];
  return a->last[((unsigned long long)state * a->sequences + end) * a->units + u->unit];
}

DEVICE float hidden_gradient(const Backward *a, const Unit *u) {
  return state_gradient(a, u, 0) + a->upstream[u->token * a->units + u->unit];
}

// Leaves the gradient of a sum, and that of the input side if it is another.
DEVICE void leave_both(const Backward *a, const Unit *u, unsigned gates, unsigned gate, float sum,
                       float input) {
  unsigned long long at = gate_of(u->lane, gates, gate, a->units, u->unit);
  a->d_sums[at] = sum;
  if (a->words) a->words[at] = to_bf16(sum);
  a->d_input[gate_of(u->token, gates, gate, a->units, u->unit)] = input;
}

DEVICE void leave(const Backward *a, const Unit *u, unsigned gates, unsigned gate, float d) {
  leave_both(a, u, gates, gate, d, d);
}

#define FORWARD(name) DEVICE void name(const Forward *a, const Unit *u)
#define BACKWARD(name) DEVICE void name(const Backward *a, const Unit *u)

// Elman

FORWARD(elman_forward_0) {
  float h = tanhf(sum_of(a, u, 1, 0));
  keep(a, u, 1, 0, h);
  finish(a, u, h);
}

BACKWARD(elman_backward_0) {
  float d = hidden_gradient(a, u) * tanh_slope(kept(a->kept, a->units, u, 1, 0));
  leave(a, u, 1, 0, d);
  a->d_hidden[u->at] = 0.0f;
}

FORWARD(elman_relu_forward_0) {
  float sum = sum_of(a, u, 1, 0);
  // What is no number stays none.
  float h = sum < 0.0f ? 0.0f : sum;
  keep(a, u, 1, 0, h);
  finish(a, u, h);
}

BACKWARD(elman_relu_backward_0) {
  float d = kept(a->kept, a->units, u, 1, 0) > 0.0f ? hidden_gradient(a, u) : 0.0f;
  leave(a, u, 1, 0, d);
  a->d_hidden[u->at] = 0.0f;
}

// LSTM, with and without peepholes

DEVICE float peephole(const float *vectors, unsigned units, const Unit *u, unsigned n) {
  return vectors[n * units + u->unit];
}

DEVICE void lstm_step(const Forward *a, const Unit *u, int peeps) {
  float before = a->cell[u->at];
  float sums[4];
  for (unsigned gate = 0; gate < 4; gate++) sums[gate] = sum_of(a, u, 4, gate);
  if (peeps) {
    sums[0] += peephole(a->vectors, a->units, u, 0) * before;
    sums[1] += peephole(a->vectors, a->units, u, 1) * before;
  }
  float i = sigmoid(sums[0]), f = sigmoid(sums[1]), g = tanhf(sums[2]);
  float c = f * before + i * g;
  if (peeps) sums[3] += peephole(a->vectors, a->units, u, 2) * c;
  float o = sigmoid(sums[3]);
  keep(a, u, 4, 0, i);
  keep(a, u, 4, 1, f);
  keep(a, u, 4, 2, g);
  keep(a, u, 4, 3, o);
  finish_cell(a, u, c);
  finish(a, u, o * tanhf(c));
}

DEVICE void lstm_back(const Backward *a, const Unit *u, int peeps) {
  float i = kept(a->kept, a->units, u, 4, 0), f = kept(a->kept, a->units, u, 4, 1);
  float g = kept(a->kept, a->units, u, 4, 2), o = kept(a->kept, a->units, u, 4, 3);
  float before = a->cell[u->at];
  float t = tanhf(f * before + i * g);
  float dh = hidden_gradient(a, u);
  float d_o = dh * t * sigmoid_slope(o);
  float dc = dh * o * tanh_slope(t) + state_gradient(a, u, 1);
  if (peeps) dc += d_o * peephole(a->vectors, a->units, u, 2);
  float d_i = dc * g * sigmoid_slope(i), d_f = dc * before * sigmoid_slope(f);
  leave(a, u, 4, 0, d_i);
  leave(a, u, 4, 1, d_f);
  leave(a, u, 4, 2, dc * i * tanh_slope(g));
  leave(a, u, 4, 3, d_o);
  float d_before = dc * f;
  if (peeps) {
    d_before += d_i * peephole(a->vectors, a->units, u, 0);
    d_before += d_f * peephole(a->vectors, a->units, u, 1);
  }
  a->d_cell[u->at] = d_before;
  a->d_hidden[u->at] = 0.0f;
}

FORWARD(lstm_forward_0) { lstm_step(a, u, 0); }
BACKWARD(lstm_backward_0) { lstm_back(a, u, 0); }
FORWARD(peephole_lstm_forward_0) { lstm_step(a, u, 1); }
BACKWARD(peephole_lstm_backward_0) { lstm_back(a, u, 1); }

// GRU that resets after the product

FORWARD(gru_forward_0) {
  float r = sigmoid(sum_of(a, u, 3, 0)), z = sigmoid(sum_of(a, u, 3, 1));
  float side = recurrent_side(a, u, 2);
  float n = tanhf(input_side(a, u, 3, 2) + r * side);
  keep(a, u, 4, 0, r);
  keep(a, u, 4, 1, z);
  keep(a, u, 4, 2, n);
  keep(a, u, 4, 3, side);
  finish(a, u, n + z * (a->hidden[u->at] - n));
}

BACKWARD(gru_backward_0) {
  float r = kept(a->kept, a->units, u, 4, 0), z = kept(a->kept, a->units, u, 4, 1);
  float n = kept(a->kept, a->units, u, 4, 2), side = kept(a->kept, a->units, u, 4, 3);
  float dh = hidden_gradient(a, u);
  float dn = dh * (1.0f - z) * tanh_slope(n);
  leave(a, u, 3, 0, dn * side * sigmoid_slope(r));
  leave(a, u, 3, 1, dh * (a->hidden[u->at] - n) * sigmoid_slope(z));
  leave_both(a, u, 3, 2, dn * r, dn);
  a->d_hidden[u->at] = dh * z;
}

// GRU that resets before the product

FORWARD(cho_gru_forward_0) {
  float r = sigmoid(sum_of(a, u, 3, 0));
  keep(a, u, 3, 0, r);
  keep(a, u, 3, 1, sigmoid(sum_of(a, u, 3, 1)));
  gate_next(a, u, r * a->hidden[u->at]);
}

FORWARD(cho_gru_forward_1) {
  float z = kept(a->kept, a->units, u, 3, 1), n = tanhf(sum_of(a, u, 3, 2));
  keep(a, u, 3, 2, n);
  finish(a, u, n + z * (a->hidden[u->at] - n));
}

BACKWARD(cho_gru_backward_1) {
  float z = kept(a->kept, a->units, u, 3, 1), n = kept(a->kept, a->units, u, 3, 2);
  float dh = hidden_gradient(a, u);
  leave(a, u, 3, 1, dh * (a->hidden[u->at] - n) * sigmoid_slope(z));
  leave(a, u, 3, 2, dh * (1.0f - z) * tanh_slope(n));
  a->d_hidden[u->at] = dh * z;
}

BACKWARD(cho_gru_backward_0) {
  float r = kept(a->kept, a->units, u, 3, 0), d_gated = a->d_gated[u->at];
  leave(a, u, 3, 0, d_gated * a->hidden[u->at] * sigmoid_slope(r));
  a->d_hidden[u->at] += d_gated * r;
}

// MGU. The second phase leaves the gradient of f past the product where the first
// one finds it.

FORWARD(mgu_forward_0) {
  float f = sigmoid(sum_of(a, u, 2, 0));
  keep(a, u, 3, 0, f);
  gate_next(a, u, f * a->hidden[u->at]);
}

FORWARD(mgu_forward_1) {
  float f = kept(a->kept, a->units, u, 3, 0), n = tanhf(sum_of(a, u, 2, 1));
  keep(a, u, 3, 1, n);
  finish(a, u, a->hidden[u->at] + f * (n - a->hidden[u->at]));
}

BACKWARD(mgu_backward_1) {
  float f = kept(a->kept, a->units, u, 3, 0), n = kept(a->kept, a->units, u, 3, 1);
  float dh = hidden_gradient(a, u);
  leave(a, u, 2, 0, dh * (n - a->hidden[u->at]));
  leave(a, u, 2, 1, dh * f * tanh_slope(n));
  a->d_hidden[u->at] = dh * (1.0f - f);
}

BACKWARD(mgu_backward_0) {
  float f = kept(a->kept, a->units, u, 3, 0), d_gated = a->d_gated[u->at];
  float past = a->d_sums[gate_of(u->lane, 2, 0, a->units, u->unit)];
  leave(a, u, 2, 0, (d_gated * a->hidden[u->at] + past) * sigmoid_slope(f));
  a->d_hidden[u->at] += d_gated * f;
}

// Every cell, with the gates of its first product and of its second one.
#define CELLS(ONE, TWO) \
  ONE(elman, 1)         \
  ONE(elman_relu, 1)    \
  ONE(lstm, 4)          \
  ONE(peephole_lstm, 4) \
  ONE(gru, 3)           \
  TWO(cho_gru, 2, 1)    \
  TWO(mgu, 1, 1)
