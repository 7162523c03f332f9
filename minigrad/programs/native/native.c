/* Runs the lines of a recorded program without Python between them.
 *
 * A line is one call of an inner loop: the function in which NumPy makes a ufunc for a run of elements. The loops are
 * NumPy's own wherever it has one, so that the bits are its own; what goes away is Python's cost of a call. Loops of
 * this file have the same signature and do what NumPy does without a loop (copies, casts), or what it does in two calls
 * or by a detour; whoever writes a table of lines has tried that their bits are NumPy's.
 *
 * Nothing here knows what a network is. `executable.py` fills the tables; `extension.py` has their layout as dtypes
 * of NumPy, and this file tells it the sizes to compare.
 */

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000 /* the buffer protocol belongs to the stable interface since 3.11 */
#endif
#include <Python.h>

#include <fenv.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) && !defined(_WIN32)
#include <xmmintrin.h>
#endif

/* A product and a sum are rounded twice, as in NumPy; GCC is told by an option. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

/* The loops below are compiled for several kinds of vectors; which one runs is found out when this is loaded. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define FOR_ALL_VECTORS __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define FOR_ALL_VECTORS
#endif

/* An element of a result may lie where an operand's was, but not where another one's is. */
#if defined(__clang__)
#define EACH_FOR_ITSELF _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define EACH_FOR_ITSELF _Pragma("GCC ivdep")
#elif defined(_MSC_VER)
#define EACH_FOR_ITSELF __pragma(loop(ivdep))
#else
#define EACH_FOR_ITSELF
#endif

/* ------------------------------------------------------------------------------------------------- what a line is */

enum { OPERANDS = 4, AXES = 4, SIZES = 4, STRIDES = 10 };

typedef int Loop(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata);

typedef struct {
    Loop *loop; /* NULL: the threads of a team meet here */
    void *context, *auxdata;
    intptr_t operands;
    intptr_t quiet; /* NumPy does not ask for floating-point errors after this loop */
    char *data[OPERANDS];
    intptr_t sizes[SIZES], strides[STRIDES]; /* for one call of the loop, as it wants them */
    intptr_t axes;                           /* around it: one call for each position */
    intptr_t shape[AXES];
    intptr_t steps[AXES][OPERANDS]; /* in bytes */
    intptr_t run;                   /* above 1: so many lines from here on go over their elements piece by piece */
} Line;

/* Rows that are copied before each batch: `count` of them, of every `each`; their numbers are in `rows`, or run on. */
typedef struct {
    char *place;
    char *table;
    const intptr_t *rows; /* NULL: consecutive ones */
    intptr_t bytes, stride;
    intptr_t count, each;
} Feed;

/* ------------------------------------------------------------------------------------------------------ own loops */

#define COPY(name, bytes)                                                                                             \
    static int name(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) { \
        const char *from = data[0];                                                                                   \
        char *to = data[1];                                                                                           \
        (void)context, (void)auxdata;                                                                                 \
        if (strides[0] == (bytes) && strides[1] == (bytes)) {                                                         \
            memcpy(to, from, (size_t)sizes[0] * (bytes));                                                             \
            return 0;                                                                                                 \
        }                                                                                                             \
        if (strides[0] == 0 && strides[1] == (bytes)) {                                                               \
            char number[bytes]; /* a copy, so that the compiler knows that it stays */                                \
            memcpy(number, from, (bytes));                                                                            \
            for (intptr_t i = 0; i < sizes[0]; i++) memcpy(to + i * (bytes), number, (bytes));                        \
            return 0;                                                                                                 \
        }                                                                                                             \
        for (intptr_t i = 0; i < sizes[0]; i++, from += strides[0], to += strides[1]) memcpy(to, from, (bytes));      \
        return 0;                                                                                                     \
    }

COPY(copy_1, 1)
COPY(copy_2, 2)
COPY(copy_4, 4)
COPY(copy_8, 8)
COPY(copy_16, 16)

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)(address))
#endif
enum { AHEAD = 2, CACHE_LINE = 64 }; /* the row after the next one is on its way from memory while one is copied */

/* Rows of a table by their numbers, one behind the other: strides are from one row to the next, and a row's bytes. */
static int gather(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) {
    const intptr_t *numbers = (const intptr_t *)data[0];
    const intptr_t stride = strides[0], bytes = strides[1];
    (void)context, (void)auxdata;
    for (intptr_t n = 0; n < sizes[0]; n++) {
        if (n + AHEAD < sizes[0]) {
            const char *later = data[1] + numbers[n + AHEAD] * stride;
            for (intptr_t byte = 0; byte < bytes; byte += CACHE_LINE) FETCH(later + byte);
        }
        memcpy(data[2] + n * bytes, data[1] + numbers[n] * stride, (size_t)bytes);
    }
    return 0;
}

/* A matrix laid out the other way round: what lies in columns comes to lie in rows, eight at a time. */
#define TURN(name, type)                                                                                              \
    FOR_ALL_VECTORS                                                                                                   \
    static int name(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) { \
        const intptr_t rows = sizes[0], columns = sizes[1], apart = strides[0] / (intptr_t)sizeof(type);              \
        (void)context, (void)auxdata;                                                                                 \
        for (intptr_t row = 0; row < rows; row += 8) {                                                                \
            const intptr_t some = rows - row < 8 ? rows - row : 8;                                                    \
            const type *from = (const type *)data[0] + row;                                                           \
            type *to = (type *)data[1] + row * columns;                                                               \
            for (intptr_t column = 0; column < columns; column++, from += apart, to++) {                              \
                if (some == 8)                                                                                        \
                    for (int i = 0; i < 8; i++) to[i * columns] = from[i];                                            \
                else                                                                                                  \
                    for (intptr_t i = 0; i < some; i++) to[i * columns] = from[i];                                    \
            }                                                                                                         \
        }                                                                                                             \
        return 0;                                                                                                     \
    }

TURN(turn_float, float)
TURN(turn_double, double)

#define CAST(name, source, target)                                                                                    \
    static int name(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) { \
        const char *from = data[0];                                                                                   \
        char *to = data[1];                                                                                           \
        (void)context, (void)auxdata;                                                                                 \
        if (strides[0] == (intptr_t)sizeof(source) && strides[1] == (intptr_t)sizeof(target))                         \
            for (intptr_t i = 0; i < sizes[0]; i++) ((target *)to)[i] = (target)((const source *)from)[i];            \
        else                                                                                                          \
            for (intptr_t i = 0; i < sizes[0]; i++, from += strides[0], to += strides[1])                             \
                *(target *)to = (target) * (const source *)from;                                                      \
        return 0;                                                                                                     \
    }

CAST(bool_float, uint8_t, float)
CAST(bool_double, uint8_t, double)
CAST(int32_float, int32_t, float)
CAST(int32_double, int32_t, double)
CAST(int64_float, int64_t, float)
CAST(int64_double, int64_t, double)
CAST(float_double, float, double)
CAST(double_float, double, float)

/* The product of a column and a row, with the sizes and strides of matmul: BLAS adds each number to a zero. */
#define OUTER(name, type)                                                                                             \
    FOR_ALL_VECTORS                                                                                                   \
    static int name(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) { \
        const type *row = (const type *)data[1];                                                                      \
        (void)context, (void)auxdata;                                                                                 \
        for (intptr_t i = 0; i < sizes[1]; i++) {                                                                     \
            const type number = *(const type *)(data[0] + i * strides[3]);                                            \
            type *out = (type *)(data[2] + i * strides[7]);                                                           \
            for (intptr_t j = 0; j < sizes[3]; j++) out[j] = 0 + number * row[j];                                     \
        }                                                                                                             \
        return 0;                                                                                                     \
    }

OUTER(outer_float, float)
OUTER(outer_double, double)

/* theta - eta g for a number eta: a product and a difference in one pass, each rounded. */
#define DESCEND(name, type)                                                                                           \
    FOR_ALL_VECTORS                                                                                                   \
    static int name(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) { \
        const type eta = *(const type *)data[0], *g = (const type *)data[1], *theta = (const type *)data[2];          \
        type *out = (type *)data[3];                                                                                  \
        (void)context, (void)strides, (void)auxdata;                                                                  \
        EACH_FOR_ITSELF                                                                                               \
        for (intptr_t i = 0; i < sizes[0]; i++) {                                                                     \
            const type step = eta * g[i];                                                                             \
            out[i] = theta[i] - step;                                                                                 \
        }                                                                                                             \
        return 0;                                                                                                     \
    }

DESCEND(descend_float, float)
DESCEND(descend_double, double)

/* The same where g is the product of a column and a row, which is written nowhere: `sizes` are theta's rows and columns,
   `strides` lead from row to row. The last `width` columns may be made twice, from what was there before. */
#define SOME_DESCEND(type, width, place, old, column)                                                                 \
    for (int j = 0; j < (width); j++) {                                                                               \
        const type g = 0 + number * b[(column) + j], step = eta * g;                                                  \
        (place)[j] = (old)[j] - step;                                                                                 \
    }
#define ROWS_DESCEND(type, width)                                                                                     \
    for (intptr_t i = 0; i < rows; i++, a += strides[1], theta += columns) {                                          \
        const type number = *(const type *)a;                                                                         \
        type last[width];                                                                                             \
        memcpy(last, theta + columns - (width), sizeof last);                                                         \
        for (intptr_t column = 0; column + (width) <= columns; column += (width)) {                                   \
            type some[width];                                                                                         \
            memcpy(some, theta + column, sizeof some);                                                                \
            SOME_DESCEND(type, width, some, some, column)                                                             \
            memcpy(theta + column, some, sizeof some);                                                                \
        }                                                                                                             \
        SOME_DESCEND(type, width, last, last, columns - (width))                                                      \
        memcpy(theta + columns - (width), last, sizeof last);                                                         \
    }
#define OUTER_DESCEND(name, type)                                                                                     \
    FOR_ALL_VECTORS                                                                                                   \
    static int name(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) { \
        const intptr_t rows = sizes[0], columns = sizes[1];                                                           \
        const type eta = *(const type *)data[0], *b = (const type *)data[2];                                          \
        const char *a = data[1];                                                                                      \
        type *theta = (type *)data[3];                                                                                \
        (void)context, (void)auxdata;                                                                                 \
        if (columns >= 16)                                                                                            \
            ROWS_DESCEND(type, 16)                                                                                    \
        else if (columns >= 8)                                                                                        \
            ROWS_DESCEND(type, 8)                                                                                     \
        else if (columns >= 4)                                                                                        \
            ROWS_DESCEND(type, 4)                                                                                     \
        else                                                                                                          \
            ROWS_DESCEND(type, 1)                                                                                     \
        return 0;                                                                                                     \
    }

OUTER_DESCEND(outer_descend_float, float)
OUTER_DESCEND(outer_descend_double, double)

/* A sum, difference, product or quotient row by row: `sizes` are rows and columns, `strides` lead from row to row and
   then along the operands' rows (0 for a number). NumPy calls its loop for each row, which takes longer than a short
   row itself. */
#define ROWS(name, type, operator)                                                                                    \
    FOR_ALL_VECTORS                                                                                                   \
    static int name(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) { \
        const intptr_t rows = sizes[0], columns = sizes[1];                                                           \
        (void)context, (void)auxdata;                                                                                 \
        for (intptr_t row = 0; row < rows; row++) {                                                                   \
            const type *a = (const type *)(data[0] + row * strides[0]);                                               \
            const type *b = (const type *)(data[1] + row * strides[1]);                                               \
            type *out = (type *)(data[2] + row * strides[2]);                                                         \
            const type number_a = *a, number_b = *b;                                                                  \
            if (strides[3] == 0) {                                                                                    \
                EACH_FOR_ITSELF                                                                                       \
                for (intptr_t i = 0; i < columns; i++) out[i] = number_a operator b[i];                               \
            } else if (strides[4] == 0) {                                                                             \
                EACH_FOR_ITSELF                                                                                       \
                for (intptr_t i = 0; i < columns; i++) out[i] = a[i] operator number_b;                               \
            } else {                                                                                                  \
                EACH_FOR_ITSELF                                                                                       \
                for (intptr_t i = 0; i < columns; i++) out[i] = a[i] operator b[i];                                   \
            }                                                                                                         \
        }                                                                                                             \
        return 0;                                                                                                     \
    }

ROWS(add_float, float, +)
ROWS(add_double, double, +)
ROWS(subtract_float, float, -)
ROWS(subtract_double, double, -)
ROWS(multiply_float, float, *)
ROWS(multiply_double, double, *)
ROWS(divide_float, float, /)
ROWS(divide_double, double, /)

/* Sums of columns, added to what is there: row after row, as NumPy adds them, but with the sums of some columns kept
   in registers. Operands and strides are those of the loop of add that reduces. */
#define SOME_COLUMNS(type, width)                                                                                     \
    for (; column + (width) <= columns; column += (width)) {                                                          \
        type sums[width];                                                                                             \
        const char *row = data[1] + column * (intptr_t)sizeof(type);                                                  \
        memcpy(sums, out + column, sizeof sums);                                                                      \
        for (intptr_t n = 0; n < rows; n++, row += strides[1])                                                        \
            for (int i = 0; i < (width); i++) sums[i] += ((const type *)row)[i];                                      \
        memcpy(out + column, sums, sizeof sums);                                                                      \
    }
#define COLUMN_SUMS(name, type)                                                                                       \
    FOR_ALL_VECTORS                                                                                                   \
    static int name(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) { \
        const intptr_t rows = sizes[0], columns = sizes[1];                                                           \
        type *out = (type *)data[2];                                                                                  \
        intptr_t column = 0;                                                                                          \
        (void)context, (void)auxdata;                                                                                 \
        SOME_COLUMNS(type, 32)                                                                                        \
        SOME_COLUMNS(type, 16)                                                                                        \
        SOME_COLUMNS(type, 8)                                                                                         \
        SOME_COLUMNS(type, 4)                                                                                         \
        SOME_COLUMNS(type, 2)                                                                                         \
        SOME_COLUMNS(type, 1)                                                                                         \
        return 0;                                                                                                     \
    }

COLUMN_SUMS(column_sums_float, float)
COLUMN_SUMS(column_sums_double, double)

/* Sums of rows of at most 128 numbers, added to what is there, in the order of NumPy's pairwise summation. */
#define ROW_SUMS(name, type)                                                                                          \
    static int name(void *context, char *const *data, const intptr_t *sizes, const intptr_t *strides, void *auxdata) { \
        const intptr_t rows = sizes[0], columns = sizes[1], eights = columns - columns % 8;                           \
        (void)context, (void)auxdata;                                                                                 \
        for (intptr_t row = 0; row < rows; row++) {                                                                   \
            const type *a = (const type *)(data[1] + row * strides[1]);                                               \
            type sum = 0, s[8];                                                                                       \
            if (eights) {                                                                                             \
                memcpy(s, a, sizeof s);                                                                               \
                for (intptr_t i = 8; i < eights; i += 8)                                                              \
                    for (int j = 0; j < 8; j++) s[j] += a[i + j];                                                     \
                sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));                              \
            }                                                                                                         \
            for (intptr_t i = eights; i < columns; i++) sum += a[i];                                                  \
            *(type *)(data[2] + row * strides[2]) += sum;                                                             \
        }                                                                                                             \
        return 0;                                                                                                     \
    }

ROW_SUMS(row_sums_float, float)
ROW_SUMS(row_sums_double, double)

static const struct {
    const char *name;
    Loop *loop;
} OWN_LOOPS[] = {
    {"copy 1", copy_1},
    {"copy 2", copy_2},
    {"copy 4", copy_4},
    {"copy 8", copy_8},
    {"copy 16", copy_16},
    {"gather", gather},
    {"turn float32", turn_float},
    {"turn float64", turn_double},
    {"cast bool float32", bool_float},
    {"cast bool float64", bool_double},
    {"cast int32 float32", int32_float},
    {"cast int32 float64", int32_double},
    {"cast int64 float32", int64_float},
    {"cast int64 float64", int64_double},
    {"cast float32 float64", float_double},
    {"cast float64 float32", double_float},
    {"outer float32", outer_float},
    {"outer float64", outer_double},
    {"descend float32", descend_float},
    {"descend float64", descend_double},
    {"outer descend float32", outer_descend_float},
    {"outer descend float64", outer_descend_double},
    {"rows add float32", add_float},
    {"rows add float64", add_double},
    {"rows subtract float32", subtract_float},
    {"rows subtract float64", subtract_double},
    {"rows multiply float32", multiply_float},
    {"rows multiply float64", multiply_double},
    {"rows divide float32", divide_float},
    {"rows divide float64", divide_double},
    {"column sums float32", column_sums_float},
    {"column sums float64", column_sums_double},
    {"row sums float32", row_sums_float},
    {"row sums float64", row_sums_double},
};

/* -------------------------------------------------------------------------------------------- where threads meet */

#if defined(_MSC_VER)
#define WIN32_LEAN_AND_MEAN
#include <intrin.h>
#include <windows.h>
typedef volatile long Counter;
#define read_counter(counter) _InterlockedOr((counter), 0)
#define write_counter(counter, value) ((void)_InterlockedExchange((counter), (value)))
#define add_to_counter(counter) _InterlockedExchangeAdd((counter), 1)
#define give_way() ((void)SwitchToThread())
#else
#include <sched.h>
#include <stdatomic.h>
typedef atomic_int Counter;
#define read_counter(counter) atomic_load_explicit((counter), memory_order_acquire)
#define write_counter(counter, value) atomic_store_explicit((counter), (value), memory_order_release)
#define add_to_counter(counter) atomic_fetch_add((counter), 1)
#define give_way() ((void)sched_yield())
#endif

enum { SPINS = 2000 }; /* some microseconds: what a system takes to let another thread run */

typedef struct {
    Counter waiting, round, failed;
    int members;
} Team;

/* Wait until all members are here; -1 when one of them has failed and will never come. */
static int meet(Team *team) {
    const int round = (int)read_counter(&team->round);
    if (add_to_counter(&team->waiting) == team->members - 1) {
        write_counter(&team->waiting, 0);
        write_counter(&team->round, round + 1);
        return 0;
    }
    for (int spins = 0; (int)read_counter(&team->round) == round; spins++) {
        if (read_counter(&team->failed)) return -1;
        if (spins > SPINS) give_way();
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------ the runs */

/* One call. The loop gets a copy of the addresses: that of matmul moves them on. */
static int call(const Line *line, char *const *data) {
    char *moving[OPERANDS];
    memcpy(moving, data, sizeof moving);
    return line->loop(line->context, moving, line->sizes, line->strides, line->auxdata);
}

/* One line: a call of its loop for each position along the axes around it. */
static int run_line(const Line *line) {
    if (line->axes == 0) return call(line, line->data);
    char *data[OPERANDS];
    intptr_t position[AXES] = {0};
    memcpy(data, line->data, sizeof data);
    for (;;) {
        if (call(line, data)) return -1;
        intptr_t axis = line->axes - 1;
        while (++position[axis] == line->shape[axis]) {
            for (intptr_t n = 0; n < line->operands; n++) data[n] -= (line->shape[axis] - 1) * line->steps[axis][n];
            position[axis] = 0;
            if (axis-- == 0) return 0;
        }
        for (intptr_t n = 0; n < line->operands; n++) data[n] += line->steps[axis][n];
    }
}

/* The floating-point errors since they were cleared. On x86-64 vectors have a register of their own for them, which is
   read in less time than that of long doubles with it, of which there are none here. (Windows numbers them otherwise.) */
#if defined(__x86_64__) && !defined(_WIN32)
#define errors_now() ((int)_mm_getcsr() & FE_ALL_EXCEPT)
#else
#define errors_now() fetestexcept(FE_ALL_EXCEPT)
#endif

/* What is `raised` is collected line by line: some of NumPy's loops clear the flags. */
static void collect(const Line *line, int *raised) {
    const int now = errors_now();
    if (!line->quiet)
        *raised |= now;
    else if (now & ~*raised)
        feclearexcept(now & ~*raised);
}

enum { PIECE = 4096 }; /* elements: what a dozen operands have of them stays in a core's own cache (measured) */

/* Some lines of equally many elements, all of them for one piece after the other. */
static int run_in_pieces(const Line *lines, int *raised) {
    const intptr_t count = lines->sizes[0];
    for (intptr_t start = 0; start < count; start += PIECE) {
        const intptr_t some = count - start < PIECE ? count - start : PIECE;
        for (const Line *line = lines; line < lines + lines->run; line++) {
            char *data[OPERANDS];
            for (intptr_t n = 0; n < line->operands; n++) data[n] = line->data[n] + start * line->strides[n];
            if (line->loop(line->context, data, &some, line->strides, line->auxdata)) return -1;
            collect(line, raised);
        }
    }
    return 0;
}

/* All lines, one after the other. */
static int run_lines(const Line *lines, intptr_t count, Team *team, int *raised) {
    for (const Line *line = lines; line < lines + count; line++) {
        if (line->run > 1) {
            if (run_in_pieces(line, raised)) return -1;
            line += line->run - 1;
        } else if (line->loop == NULL) {
            if (team && meet(team)) return -1;
        } else {
            if (run_line(line)) return -1;
            collect(line, raised);
        }
    }
    return 0;
}

static void take(const Feed *feed, intptr_t batch, intptr_t batches) {
    const intptr_t first = batch * feed->each, end = (batches - 1) * feed->each + feed->count;
    for (intptr_t n = 0; n < feed->count; n++) {
        const intptr_t row = feed->rows ? feed->rows[first + n] : first + n;
        if (feed->rows && first + n + AHEAD < end) {
            const char *later = feed->table + feed->rows[first + n + AHEAD] * feed->stride;
            for (intptr_t byte = 0; byte < feed->bytes; byte += CACHE_LINE) FETCH(later + byte);
        }
        memcpy(feed->place + n * feed->bytes, feed->table + row * feed->stride, (size_t)feed->bytes);
    }
}

static void keep(const Feed *feed, intptr_t batch) {
    memcpy(feed->table + batch * feed->stride, feed->place, (size_t)feed->bytes);
}

/* ------------------------------------------------------------------------------------------------ Python's side */

typedef struct {
    Py_buffer buffer;
    Py_ssize_t count;
} Records;

/* The records of `bytes` each in an object's memory; none in None. */
static int open_records(PyObject *object, Py_ssize_t bytes, Records *records) {
    records->count = 0;
    records->buffer.buf = NULL;
    records->buffer.obj = NULL;
    if (object == NULL || object == Py_None) return 0;
    if (PyObject_GetBuffer(object, &records->buffer, PyBUF_SIMPLE)) return -1;
    records->count = records->buffer.len / bytes;
    if (records->count * bytes == records->buffer.len) return 0;
    PyBuffer_Release(&records->buffer);
    PyErr_SetString(PyExc_ValueError, "a table of records of another size");
    return -1;
}

static int floating_point_errors(int raised) {
    return (raised & FE_DIVBYZERO ? 1 : 0) | (raised & FE_OVERFLOW ? 2 : 0) | (raised & FE_UNDERFLOW ? 4 : 0) |
           (raised & FE_INVALID ? 8 : 0);
}

static PyObject *run(PyObject *module, PyObject *const *given, Py_ssize_t count) {
    Records lines, feeds, keeps, team, before;
    PyObject *result = NULL;
    Py_ssize_t batches = 1;
    (void)module;
    if (count < 1 || count > 6) {
        PyErr_SetString(PyExc_TypeError, "run(lines, batches=1, feeds=None, keeps=None, team=None, before=None)");
        return NULL;
    }
    if (count > 1 && (batches = PyLong_AsSsize_t(given[1])) == -1 && PyErr_Occurred()) return NULL;
    if (open_records(given[0], sizeof(Line), &lines)) return NULL;
    if (open_records(count > 2 ? given[2] : NULL, sizeof(Feed), &feeds)) goto close_lines;
    if (open_records(count > 3 ? given[3] : NULL, sizeof(Feed), &keeps)) goto close_feeds;
    if (open_records(count > 4 ? given[4] : NULL, sizeof(Team), &team)) goto close_keeps;
    if (open_records(count > 5 ? given[5] : NULL, sizeof(Line), &before)) goto close_team;

    int failed = 0, raised = 0;
    PyThreadState *state = PyEval_SaveThread();
    feclearexcept(FE_ALL_EXCEPT);
    for (Py_ssize_t batch = 0; batch < batches && !failed; batch++) {
        for (Py_ssize_t n = 0; n < feeds.count; n++) take((const Feed *)feeds.buffer.buf + n, batch, batches);
        const Records *some = before.buffer.buf && batch < batches - 1 ? &before : &lines;
        failed = run_lines((const Line *)some->buffer.buf, some->count, (Team *)team.buffer.buf, &raised);
        for (Py_ssize_t n = 0; n < keeps.count; n++) keep((const Feed *)keeps.buffer.buf + n, batch);
    }
    if (failed && team.buffer.buf) write_counter(&((Team *)team.buffer.buf)->failed, 1);
    feclearexcept(FE_ALL_EXCEPT);
    PyEval_RestoreThread(state);

    if (failed)
        PyErr_SetString(PyExc_RuntimeError, "a loop of NumPy has failed");
    else
        result = PyLong_FromLong(floating_point_errors(raised));
    PyBuffer_Release(&before.buffer);
close_team:
    PyBuffer_Release(&team.buffer);
close_keeps:
    PyBuffer_Release(&keeps.buffer);
close_feeds:
    PyBuffer_Release(&feeds.buffer);
close_lines:
    PyBuffer_Release(&lines.buffer);
    return result;
}

/* What ufunc._get_strided_loop fills in: documented in NumPy as `ufunc_call_info`, made for Numba. */
typedef struct {
    Loop *loop;
    void *context, *auxdata;
    unsigned char requires_pyapi, no_floatingpoint_errors;
} CallInfo;

static PyObject *loop_in(PyObject *module, PyObject *capsule) {
    (void)module;
    const CallInfo *info = PyCapsule_GetPointer(capsule, "numpy_1.24_ufunc_call_info");
    if (info == NULL) return NULL;
    return Py_BuildValue("KKKii", (unsigned long long)(uintptr_t)info->loop, (unsigned long long)(uintptr_t)info->context,
                         (unsigned long long)(uintptr_t)info->auxdata, (int)info->requires_pyapi,
                         (int)info->no_floatingpoint_errors);
}

static PyMethodDef FUNCTIONS[] = {
    {"run", (PyCFunction)(void (*)(void))run, METH_FASTCALL,
     "run(lines, batches=1, feeds=None, keeps=None, team=None, before=None): run the lines for each batch, after its "
     "feeds and before its keeps; those of `before` for all batches but the last one. Returns the floating-point errors: 1 division by zero, 2 overflow, 4 underflow, 8 invalid."},
    {"loop_in", loop_in, METH_O,
     "loop_in(capsule): (loop, context, auxdata, requires_pyapi, no_floatingpoint_errors) of ufunc._get_strided_loop."},
    {NULL, NULL, 0, NULL},
};

/* The addresses of the own loops by name, and the sizes of the records. */
static int fill(PyObject *module) {
    PyObject *loops = PyDict_New();
    if (loops == NULL) return -1;
    for (size_t n = 0; n < sizeof OWN_LOOPS / sizeof *OWN_LOOPS; n++) {
        PyObject *address = PyLong_FromUnsignedLongLong((unsigned long long)(uintptr_t)OWN_LOOPS[n].loop);
        if (address == NULL || PyDict_SetItemString(loops, OWN_LOOPS[n].name, address)) {
            Py_XDECREF(address);
            Py_DECREF(loops);
            return -1;
        }
        Py_DECREF(address);
    }
    if (PyModule_AddObjectRef(module, "LOOPS", loops)) {
        Py_DECREF(loops);
        return -1;
    }
    Py_DECREF(loops);
    return PyModule_AddIntConstant(module, "LINE_BYTES", sizeof(Line)) ||
           PyModule_AddIntConstant(module, "FEED_BYTES", sizeof(Feed)) ||
           PyModule_AddIntConstant(module, "TEAM_BYTES", sizeof(Team));
}

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, (void *)fill}, {0, NULL}};

static PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_native", "Runs the lines of a recorded program without Python between them.", 0,
    FUNCTIONS,             SLOTS,     NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&MODULE); }
