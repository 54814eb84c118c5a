/*
 * The DLRM of `npm run bench -- compute` in C, for how far the kernels are from what this machine can do: the same layers, the same tiling of
 * the products, one thread, vectors as wide as the compiler makes them of 16 floats. Prints CPU microseconds a call, the median of some rounds,
 * and the loss, by which the bench sees that it computes the same.
 *
 *   gcc -O3 -march=native compute-reference.c -o compute-reference -lm && ./compute-reference train|infer BATCH
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DENSE = 13, TABLES = 26, DIM = 16, HIDDEN = 64, TOP1 = 64, TOP2 = 32 };
enum { VECTORS = TABLES + 1, PAIRS = VECTORS * (VECTORS - 1) / 2, TOP_IN = DIM + PAIRS };
enum { ROWS = 8, COLUMNS = 32, PART = 128, ROUNDS = 11 };

typedef float v16 __attribute__((vector_size(64), aligned(4)));

static float *zeros(size_t floats) {
  float *made = calloc(floats + 64, sizeof(float));
  if (!made) exit(1);
  return made;
}

static inline v16 load16(const float *from) {
  v16 v;
  memcpy(&v, from, sizeof v);
  return v;
}

static inline void store16(float *to, v16 v) { memcpy(to, &v, sizeof v); }

/* C (+)= A B. A's element (i, j) is at a[i * a_row + j * a_column]; rows of B and C are b_row and c_row apart. */
static void gemm(int m, int n, int k, const float *a, int a_row, int a_column, const float *b, int b_row, float *c, int c_row,
                 int adds, const float *bias, int relu) {
  static float *panel;
  if (!panel) panel = zeros(4096 * COLUMNS);
  for (int column = 0; column < n; column += COLUMNS) {
    int columns = n - column < COLUMNS ? n - column : COLUMNS;
    const float *right = b + column;
    int right_row = b_row;
    float start[COLUMNS] = {0};
    if (bias) memcpy(start, bias + column, columns * sizeof(float));
    if (columns < COLUMNS) {
      for (int i = 0; i < k; i++) memcpy(panel + i * COLUMNS, b + (size_t)i * b_row + column, columns * sizeof(float));
      right = panel;
      right_row = COLUMNS;
    }
    for (int row = 0; row < m; row += ROWS) {
      v16 sums[ROWS][2];
      const float *left[ROWS];
      for (int r = 0; r < ROWS; r++) {
        left[r] = a + (size_t)(row + r < m ? row + r : m - 1) * a_row;
        sums[r][0] = load16(start);
        sums[r][1] = load16(start + 16);
      }
      for (int i = 0; i < k; i++) {
        v16 b0 = load16(right + (size_t)i * right_row), b1 = load16(right + (size_t)i * right_row + 16);
        for (int r = 0; r < ROWS; r++) {
          float x = left[r][(size_t)i * a_column];
          sums[r][0] += x * b0;
          sums[r][1] += x * b1;
        }
      }
      for (int r = 0; r < ROWS && row + r < m; r++) {
        float *to = c + (size_t)(row + r) * c_row + column;
        float out[COLUMNS];
        store16(out, sums[r][0]);
        store16(out + 16, sums[r][1]);
        if (relu) {
          for (int j = 0; j < COLUMNS; j++) out[j] = out[j] < 0 ? 0 : out[j];
        }
        if (adds) {
          for (int j = 0; j < columns; j++) to[j] += out[j];
        } else {
          memcpy(to, out, columns * sizeof(float));
        }
      }
    }
  }
}

struct layer {
  int inputs, outputs, relu;
  float *weights, *biases, *weight_gradients, *bias_gradients, *turned;
};

static struct layer layer_of(int inputs, int outputs, int relu, float **parameters, float **gradients) {
  struct layer l = {inputs, outputs, relu, *parameters, *parameters + inputs * outputs, *gradients, *gradients + inputs * outputs,
                    zeros((size_t)inputs * outputs)};
  *parameters += (inputs + 1) * outputs;
  *gradients += (inputs + 1) * outputs;
  return l;
}

static void turn(const struct layer *l) {
  for (int o = 0; o < l->outputs; o++) {
    for (int i = 0; i < l->inputs; i++) l->turned[i * l->outputs + o] = l->weights[o * l->inputs + i];
  }
}

static void layer_forward(const struct layer *l, int rows, const float *x, int x_row, float *y, int y_row) {
  gemm(rows, l->outputs, l->inputs, x, x_row, 1, l->turned, l->outputs, y, y_row, 0, l->biases, l->relu);
}

static void layer_backward(const struct layer *l, int rows, const float *x, int x_row, const float *y, int y_row, float *delta,
                           int delta_row, float *x_delta, int x_delta_row, int adds) {
  for (int s = 0; s < rows; s++) {
    for (int o = 0; o < l->outputs; o++) {
      if (l->relu && y[(size_t)s * y_row + o] <= 0) delta[(size_t)s * delta_row + o] = 0;
      l->bias_gradients[o] = (adds || s ? l->bias_gradients[o] : 0) + delta[(size_t)s * delta_row + o];
    }
  }
  gemm(l->outputs, l->inputs, rows, delta, 1, delta_row, x, x_row, l->weight_gradients, l->inputs, adds, 0, 0);
  if (x_delta) gemm(rows, l->inputs, l->outputs, delta, delta_row, 1, l->weights, l->inputs, x_delta, x_delta_row, 0, 0, 0);
}

struct model {
  int batch;
  size_t floats;
  float *parameters, *gradients;
  struct layer layers[5];
  float *dense, *embeddings, *embedding_gradients, *labels;
  float *hidden, *top_in, *top1, *top2, *logits;
  float *hidden_delta, *bottom_delta, *top_in_delta, *top1_delta, *top2_delta, *logit_delta;
  double loss;
};

static unsigned seed = 1;
static float drawn(void) {
  seed = (seed * 1103515245u + 12345u) & 0x7fffffffu;
  return (float)((double)seed / 2147483648.0 - 0.5);
}

static struct model model_of(int batch) {
  struct model m = {.batch = batch};
  m.floats = (DENSE + 1) * HIDDEN + (HIDDEN + 1) * DIM + (TOP_IN + 1) * TOP1 + (TOP1 + 1) * TOP2 + (TOP2 + 1);
  m.parameters = zeros(m.floats);
  m.gradients = zeros(m.floats);
  float *p = m.parameters, *g = m.gradients;
  m.layers[0] = layer_of(DENSE, HIDDEN, 1, &p, &g);
  m.layers[1] = layer_of(HIDDEN, DIM, 1, &p, &g);
  m.layers[2] = layer_of(TOP_IN, TOP1, 1, &p, &g);
  m.layers[3] = layer_of(TOP1, TOP2, 1, &p, &g);
  m.layers[4] = layer_of(TOP2, 1, 0, &p, &g);
  m.dense = zeros((size_t)batch * DENSE);
  m.embeddings = zeros((size_t)batch * TABLES * DIM);
  m.embedding_gradients = zeros((size_t)batch * TABLES * DIM);
  m.labels = zeros(batch);
  m.hidden = zeros((size_t)batch * HIDDEN);
  m.top_in = zeros((size_t)batch * TOP_IN);
  m.top1 = zeros((size_t)batch * TOP1);
  m.top2 = zeros((size_t)batch * TOP2);
  m.logits = zeros(batch);
  m.hidden_delta = zeros(PART * HIDDEN);
  m.bottom_delta = zeros(PART * DIM);
  m.top_in_delta = zeros(PART * TOP_IN);
  m.top1_delta = zeros(PART * TOP1);
  m.top2_delta = zeros(PART * TOP2);
  m.logit_delta = zeros(PART);
  for (size_t i = 0; i < m.floats; i++) m.parameters[i] = 0.2f * drawn();
  for (int i = 0; i < batch * DENSE; i++) m.dense[i] = drawn();
  for (int i = 0; i < batch * TABLES * DIM; i++) m.embeddings[i] = drawn();
  for (int i = 0; i < batch; i++) m.labels[i] = i % 3 == 0;
  return m;
}

static void side_by_side(const struct model *m, int sample, float vectors[VECTORS][DIM]) {
  memcpy(vectors[0], m->top_in + (size_t)sample * TOP_IN, DIM * sizeof(float));
  memcpy(vectors[1], m->embeddings + (size_t)sample * TABLES * DIM, TABLES * DIM * sizeof(float));
}

static void forward(struct model *m) {
  for (int l = 0; l < 5; l++) turn(&m->layers[l]);
  for (int start = 0; start < m->batch; start += PART) {
    int rows = m->batch - start < PART ? m->batch - start : PART;
    float *in = m->top_in + (size_t)start * TOP_IN;
    float *hidden = m->hidden + (size_t)start * HIDDEN;
    layer_forward(&m->layers[0], rows, m->dense + (size_t)start * DENSE, DENSE, hidden, HIDDEN);
    layer_forward(&m->layers[1], rows, hidden, HIDDEN, in, TOP_IN);
    for (int s = 0; s < rows; s++) {
      float vectors[VECTORS][DIM], *out = in + (size_t)s * TOP_IN + DIM;
      side_by_side(m, start + s, vectors);
      /* Columns of vectors, so that the dots of one vector with 16 others are one vector of sums. */
      static float turned[DIM][32];
      for (int v = 0; v < VECTORS; v++) {
        for (int d = 0; d < DIM; d++) turned[d][v] = vectors[v][d];
      }
      float dots[32];
      for (int i = 1; i < VECTORS; i++) {
        v16 low = {0}, high = {0};
        for (int d = 0; d < DIM; d++) {
          low += vectors[i][d] * load16(turned[d]);
          if (i > 16) high += vectors[i][d] * load16(turned[d] + 16);
        }
        store16(dots, low);
        store16(dots + 16, high);
        memcpy(out, dots, i * sizeof(float));
        out += i;
      }
    }
    layer_forward(&m->layers[2], rows, in, TOP_IN, m->top1 + (size_t)start * TOP1, TOP1);
    layer_forward(&m->layers[3], rows, m->top1 + (size_t)start * TOP1, TOP1, m->top2 + (size_t)start * TOP2, TOP2);
    layer_forward(&m->layers[4], rows, m->top2 + (size_t)start * TOP2, TOP2, m->logits + start, 1);
  }
}

static void backward(struct model *m) {
  m->loss = 0;
  for (int start = 0; start < m->batch; start += PART) {
    int rows = m->batch - start < PART ? m->batch - start : PART, adds = start > 0;
    for (int s = 0; s < rows; s++) {
      double logit = m->logits[start + s], label = m->labels[start + s], e = exp(-fabs(logit));
      m->loss += fmax(logit, 0) - logit * label + log1p(e);
      m->logit_delta[s] = (float)((logit >= 0 ? 1 : e) / (1 + e) - label);
    }
    float *in = m->top_in + (size_t)start * TOP_IN, *hidden = m->hidden + (size_t)start * HIDDEN;
    float *top1 = m->top1 + (size_t)start * TOP1, *top2 = m->top2 + (size_t)start * TOP2;
    layer_backward(&m->layers[4], rows, top2, TOP2, m->logits + start, 1, m->logit_delta, 1, m->top2_delta, TOP2, adds);
    layer_backward(&m->layers[3], rows, top1, TOP1, top2, TOP2, m->top2_delta, TOP2, m->top1_delta, TOP1, adds);
    layer_backward(&m->layers[2], rows, in, TOP_IN, top1, TOP1, m->top1_delta, TOP1, m->top_in_delta, TOP_IN, adds);
    for (int s = 0; s < rows; s++) {
      float vectors[VECTORS][DIM], pairs[VECTORS][VECTORS];
      const float *delta = m->top_in_delta + (size_t)s * TOP_IN, *from = delta + DIM;
      side_by_side(m, start + s, vectors);
      for (int i = 0; i < VECTORS; i++) {
        pairs[i][i] = 0;
        for (int j = 0; j < i; j++) pairs[i][j] = pairs[j][i] = *from++;
      }
      for (int i = 0; i < VECTORS; i++) {
        v16 sum = {0};
        for (int j = 0; j < VECTORS; j++) sum += pairs[i][j] * load16(vectors[j]);
        if (i == 0) store16(m->bottom_delta + s * DIM, sum + load16(delta));
        else store16(m->embedding_gradients + ((size_t)(start + s) * TABLES + i - 1) * DIM, sum);
      }
    }
    layer_backward(&m->layers[1], rows, hidden, HIDDEN, in, TOP_IN, m->bottom_delta, DIM, m->hidden_delta, HIDDEN, adds);
    layer_backward(&m->layers[0], rows, m->dense + (size_t)start * DENSE, DENSE, hidden, HIDDEN, m->hidden_delta, HIDDEN, 0, 0, adds);
  }
  m->loss /= m->batch;
  for (size_t i = 0; i < m->floats; i++) m->gradients[i] /= m->batch;
}

static double cpu_us(void) {
  struct timespec at;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
  return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  int batch = count > 2 ? atoi(arguments[2]) : 0, trains = count > 1 && strcmp(arguments[1], "train") == 0;
  if (batch < 1 || (!trains && (count < 2 || strcmp(arguments[1], "infer") != 0))) {
    fprintf(stderr, "compute-reference train|infer BATCH\n");
    return 2;
  }
  struct model m = model_of(batch);
  double rounds[ROUNDS];
  for (int round = 0; round < ROUNDS; round++) {
    int calls = 0;
    double started = cpu_us(), now;
    do {
      forward(&m);
      if (trains) backward(&m);
      calls++;
      now = cpu_us();
    } while (now - started < 40000);
    rounds[round] = (now - started) / calls;
  }
  if (!trains) backward(&m);
  qsort(rounds, ROUNDS, sizeof(double), by_value);
  printf("%.4f %.9f\n", rounds[ROUNDS / 2], m.loss);
  return 0;
}
