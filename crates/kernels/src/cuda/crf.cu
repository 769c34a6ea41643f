// The loss of a linear-chain CRF and its gradients: one block a sentence.
//
// Sums are logarithms in double precision: forward, backward, then the expected
// less the true number of times that each tag and each transition is there.

#include "device.h"

// `crf::Arguments`
typedef struct {
  const float *emissions;    // [tokens, tags]
  const float *transitions;  // [tags + 2, tags]: from each tag, then start and end
  const unsigned *allowed;   // [tags + 2, tags]: 0 or 1
  const unsigned *firsts;    // [sentences + 1]: the first token of each
  const unsigned *gold;      // [tokens]
  double *alpha;             // [tokens, tags]
  double *beta;              // [tokens, tags]
  double *losses;            // [sentences]
  double *counts;            // [sentences, tags + 2, tags]
  float *d_emissions;        // [tokens, tags]
  float *d_transitions;      // [tags + 2, tags]
  float *loss;               // [1]
  unsigned tags;
  unsigned sentences;
} Crf;

DEVICE double transition(const Crf *a, unsigned from, unsigned to) {
  unsigned at = from * a->tags + to;
  return a->allowed[at] ? (double)a->transitions[at] : -INFINITY;
}

// Running logarithm of a sum of exponentials.
typedef struct {
  double most, sum;
} LogSum;

DEVICE void add(LogSum *s, double x) {
  if (x > s->most) {
    s->sum = s->sum * exp(s->most - x) + 1.0;
    s->most = x;
  } else if (x == s->most) {
    s->sum += s->most == -INFINITY ? 0.0 : 1.0;
  } else {
    // What is no number comes by here, too.
    s->sum += exp(x - s->most);
  }
}

DEVICE LogSum nothing(void) {
  LogSum s;
  s.most = -INFINITY;
  s.sum = 0.0;
  return s;
}

DEVICE double value(const LogSum *s) {
  return s->sum == 0.0 ? -INFINITY : s->most + log(s->sum);
}

// Sums over all tags at token `t`, once all threads have written their parts.
DEVICE double log_z(const Crf *a, unsigned last) {
  LogSum s = nothing();
  const double *alpha = a->alpha + (unsigned long long)last * a->tags;
  for (unsigned tag = 0; tag < a->tags; tag++) {
    add(&s, alpha[tag] + transition(a, a->tags + 1, tag));
  }
  return value(&s);
}

DEVICE double emission(const Crf *a, unsigned token, unsigned tag) {
  return a->emissions[(unsigned long long)token * a->tags + tag];
}

DEVICE double gold_score(const Crf *a, unsigned first, unsigned end) {
  double score = transition(a, a->tags, a->gold[first]) +
                 transition(a, a->tags + 1, a->gold[end - 1]);
  for (unsigned t = first; t < end; t++) {
    score += emission(a, t, a->gold[t]);
    if (t > first) score += transition(a, a->gold[t - 1], a->gold[t]);
  }
  return score;
}

KERNEL(crf_sentence, Crf) {
  unsigned tags = a->tags, first = a->firsts[BLOCK], end = a->firsts[BLOCK + 1];
  double *counts = a->counts + (unsigned long long)BLOCK * (tags + 2) * tags;
  if (first == end) {
    if (THREAD == 0) a->losses[BLOCK] = 0.0;
    for (unsigned at = THREAD; at < (tags + 2) * tags; at += THREADS) counts[at] = 0.0;
    return;
  }
  for (unsigned t = first; t < end; t++) {
    for (unsigned tag = THREAD; tag < tags; tag += THREADS) {
      double sum = transition(a, tags, tag);
      if (t > first) {
        const double *before = a->alpha + (unsigned long long)(t - 1) * tags;
        LogSum s = nothing();
        for (unsigned from = 0; from < tags; from++) {
          add(&s, before[from] + transition(a, from, tag));
        }
        sum = value(&s);
      }
      a->alpha[(unsigned long long)t * tags + tag] = sum + emission(a, t, tag);
    }
    BARRIER();
  }
  double z = log_z(a, end - 1);
  if (THREAD == 0) a->losses[BLOCK] = z - gold_score(a, first, end);
  for (unsigned t = end; t-- > first;) {
    for (unsigned tag = THREAD; tag < tags; tag += THREADS) {
      double sum = transition(a, tags + 1, tag);
      if (t + 1 < end) {
        const double *after = a->beta + (unsigned long long)(t + 1) * tags;
        LogSum s = nothing();
        for (unsigned to = 0; to < tags; to++) {
          add(&s, after[to] + emission(a, t + 1, to) + transition(a, tag, to));
        }
        sum = value(&s);
      }
      unsigned long long at = (unsigned long long)t * tags + tag;
      a->beta[at] = sum;
      a->d_emissions[at] = (float)(exp(a->alpha[at] + sum - z) - (a->gold[t] == tag));
    }
    BARRIER();
  }
  for (unsigned at = THREAD; at < tags * tags; at += THREADS) {
    unsigned from = at / tags, to = at % tags;
    double weight = transition(a, from, to), sum = 0.0;
    for (unsigned t = first + 1; t < end; t++) {
      double before = a->alpha[(unsigned long long)(t - 1) * tags + from];
      double after = a->beta[(unsigned long long)t * tags + to];
      sum += exp(before + weight + emission(a, t, to) + after - z);
      sum -= a->gold[t - 1] == from && a->gold[t] == to;
    }
    counts[at] = sum;
  }
  for (unsigned tag = THREAD; tag < tags; tag += THREADS) {
    unsigned long long at = (unsigned long long)first * tags + tag;
    unsigned long long last = (unsigned long long)(end - 1) * tags + tag;
    counts[tags * tags + tag] = exp(a->alpha[at] + a->beta[at] - z) - (a->gold[first] == tag);
    counts[(tags + 1) * tags + tag] =
        exp(a->alpha[last] + a->beta[last] - z) - (a->gold[end - 1] == tag);
  }
}

// Sums over sentences, in order.
KERNEL(crf_sum, Crf) {
  unsigned long long at = INDEX, values = (unsigned long long)(a->tags + 2) * a->tags;
  if (at < values) {
    double sum = 0.0;
    for (unsigned s = 0; s < a->sentences; s++) sum += a->counts[s * values + at];
    a->d_transitions[at] = (float)sum;
  }
  if (at == 0) {
    double sum = 0.0;
    for (unsigned s = 0; s < a->sentences; s++) sum += a->losses[s];
    a->loss[0] = (float)sum;
  }
}
