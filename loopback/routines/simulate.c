#include "loopback/routines/simulate.h"

#include <string.h>

#include "layout/generated/weir_layout.h"

/**
 * A row in the scratch memory: one halo word, the row's words, one halo word. Before each
 * generation the halo holds what lies beyond the row's ends (nothing, or the other end of the
 * torus), so that the inner loop knows no edges. [first, last) are the words, counted with the
 * halo, that may hold live cells; all others are zero.
 */
typedef struct life_row {
    uint64_t *words;
    size_t first;
    size_t last;
} life_row;

typedef struct life {
    uint32_t width;
    uint32_t height;
    uint32_t steps;
    bool torus;
    size_t words; /**< per row, without halo */
    life_row *now;
    life_row *next;
    /** Per word: how many of left, centre and right live, as two bit planes; for three neighbouring
     * rows. */
    uint64_t *ones[3];
    uint64_t *twos[3];
    uint64_t *empty; /**< a row without cells, for what lies above and below a bounded grid */
} life;

size_t simulate_request_bytes(uint32_t width, uint32_t height)
{
    return sizeof(struct weir_simulate_request) + bit_rows_bytes(width, height);
}

routine_result simulate_build_request(const simulate_parameters *parameters, const uint64_t *cells,
                                      void *request, size_t capacity)
{
    const size_t bytes = simulate_request_bytes(parameters->width, parameters->height);
    if (capacity < bytes) {
        return routine_failed(ROUTINE_REPLY_TOO_SMALL, "the buffer is smaller than the request");
    }
    const struct weir_simulate_request header = {
        .width = parameters->width,
        .height = parameters->height,
        .steps = parameters->steps,
        .topology = parameters->topology,
        .flags = parameters->flags,
    };
    memmove((char *)request + sizeof(header), cells, bytes - sizeof(header));
    memcpy(request, &header, sizeof(header));
    return routine_done(bytes);
}

static const char *check_request(const void *request, size_t bytes,
                                 struct weir_simulate_request *header)
{
    if (bytes < sizeof(*header)) {
        return "the simulate request is shorter than its header";
    }
    memcpy(header, request, sizeof(*header));
    if (header->width < 1 || header->width > BIT_ROWS_MAX_SIDE || header->height < 1 ||
        header->height > BIT_ROWS_MAX_SIDE) {
        return "the simulate grid must have 1 to 65535 columns and rows";
    }
    if (header->topology > SIMULATE_TORUS) {
        return "the simulate topology must be 0 (bounded) or 1 (torus)";
    }
    if ((header->flags & ~SIMULATE_GRID) != 0 || header->reserved != 0) {
        return "the simulate request sets unknown flags or its reserved field";
    }
    if (bytes != simulate_request_bytes(header->width, header->height)) {
        return "the simulate request's length does not match its width and height";
    }
    const uint64_t row_work = bit_rows_words(header->width) + SIMULATE_ROW_OVERHEAD;
    if (header->steps > SIMULATE_MAX_WORK / (row_work * header->height)) {
        return "the simulate request asks for too many steps on a grid of this size";
    }
    return NULL;
}

static size_t reply_bytes_for(const struct weir_simulate_request *header)
{
    return sizeof(struct weir_simulate_reply) +
           ((header->flags & SIMULATE_GRID) ? bit_rows_bytes(header->width, header->height) : 0);
}

routine_result simulate_reply_bytes(const void *request, size_t request_bytes)
{
    struct weir_simulate_request header;
    const char *reason = check_request(request, request_bytes, &header);
    return reason != NULL ? routine_bad_request(reason) : routine_done(reply_bytes_for(&header));
}

/** Hands out parts of the scratch memory. */
static void *take(char **memory, size_t bytes)
{
    void *part = *memory;
    *memory += bytes;
    return part;
}

static bool lay_out(life *life, routine_scratch *scratch)
{
    const size_t row_bytes = (life->words + 2) * sizeof(uint64_t);
    const size_t rows_bytes = life->height * (sizeof(life_row) + row_bytes);
    const size_t total = 2 * rows_bytes + 7 * row_bytes;
    char *memory = routine_scratch_reserve(scratch, total);
    if (memory == NULL) {
        return false;
    }
    memset(memory, 0, total);
    life->now = take(&memory, life->height * sizeof(life_row));
    life->next = take(&memory, life->height * sizeof(life_row));
    for (uint32_t y = 0; y < life->height; y++) {
        life->now[y].words = take(&memory, row_bytes);
        life->next[y].words = take(&memory, row_bytes);
    }
    for (size_t i = 0; i < 3; i++) {
        life->ones[i] = take(&memory, row_bytes);
        life->twos[i] = take(&memory, row_bytes);
    }
    life->empty = take(&memory, row_bytes);
    return true;
}

/** Narrows [first, last) to the words that are not zero. */
static void tighten(life_row *row)
{
    while (row->first < row->last && row->words[row->first] == 0) {
        row->first++;
    }
    while (row->last > row->first && row->words[row->last - 1] == 0) {
        row->last--;
    }
}

static bool load_cells(life *life, const unsigned char *cells)
{
    const uint64_t tail = bit_rows_tail_mask(life->width);
    for (uint32_t y = 0; y < life->height; y++) {
        life_row *row = &life->now[y];
        memcpy(row->words + 1, cells + y * life->words * sizeof(uint64_t),
               life->words * sizeof(uint64_t));
        if ((row->words[life->words] & ~tail) != 0) {
            return false;
        }
        row->first = 1;
        row->last = life->words + 1;
        tighten(row);
    }
    return true;
}

/** On a torus, the halo of a row is the cell at its other end; it is written over the zeros beyond
 * the row. */
static void set_halo(const life *life, life_row *row)
{
    const uint64_t first_cell = row->words[1] & 1;
    const uint64_t last_cell = row->words[life->words] >> ((life->width - 1) % 64) & 1;
    const size_t beyond =
        64 + (size_t)life->width; /* the bit behind the last cell, counted with the halo */
    row->words[0] = last_cell << 63;
    row->words[beyond / 64] |= first_cell << (beyond % 64);
}

static void clear_halo(const life *life, life_row *row)
{
    row->words[0] = 0;
    row->words[life->words] &= bit_rows_tail_mask(life->width);
    row->words[life->words + 1] = 0;
}

/** Adds left, centre and right of each cell: a full adder per bit. */
static void add_across(const uint64_t *restrict row, size_t first, size_t last,
                       uint64_t *restrict ones, uint64_t *restrict twos)
{
    for (size_t w = first; w < last; w++) {
        const uint64_t centre = row[w];
        const uint64_t left = centre << 1 | row[w - 1] >> 63;
        const uint64_t right = centre >> 1 | row[w + 1] << 63;
        const uint64_t pair = left ^ right;
        ones[w] = pair ^ centre;
        twos[w] = (left & right) | (pair & centre);
    }
}

/**
 * Adds the sums of three rows, the cell itself included: nine cells. A cell lives on with a total
 * of 3, or with a total of 4 if it lives now. `low` is the total's lowest bit; what remains is 2 *
 * (the number of set bits among a, b, c and the carry).
 */
static void add_down(uint64_t *const ones[3], uint64_t *const twos[3],
                     const uint64_t *restrict centre, uint64_t *restrict next, size_t first,
                     size_t last)
{
    const uint64_t *restrict a1 = ones[0], *restrict b1 = ones[1], *restrict c1 = ones[2];
    const uint64_t *restrict a2 = twos[0], *restrict b2 = twos[1], *restrict c2 = twos[2];
    for (size_t w = first; w < last; w++) {
        const uint64_t outer = a1[w] ^ c1[w];
        const uint64_t low = outer ^ b1[w];
        const uint64_t carry = (a1[w] & c1[w]) | (outer & b1[w]);
        const uint64_t odd_ab = a2[w] ^ b2[w], both_ab = a2[w] & b2[w];
        const uint64_t odd_cd = c2[w] ^ carry, both_cd = c2[w] & carry;
        const uint64_t odd = odd_ab ^ odd_cd;
        const uint64_t one_two = odd & ~(both_ab | both_cd);
        const uint64_t two_twos = ~odd & ((both_ab ^ both_cd) | (odd_ab & odd_cd));
        next[w] = (low & one_two) | (~low & two_twos & centre[w]);
    }
}

/** The row above or below; NULL where a bounded grid ends. */
static life_row *neighbour(const life *life, uint32_t y, int step)
{
    if (step < 0) {
        return y > 0 ? &life->now[y - 1] : life->torus ? &life->now[life->height - 1] : NULL;
    }
    return y + 1 < life->height ? &life->now[y + 1] : life->torus ? &life->now[0] : NULL;
}

/** The words of a row's next generation that may live: those of the three rows above, and one on
 * each side. */
static void reach(const life *life, life_row *const rows[3], size_t *first, size_t *last)
{
    *first = life->words + 1;
    *last = 1;
    for (size_t i = 0; i < 3; i++) {
        if (rows[i] != NULL && rows[i]->first < rows[i]->last) {
            *first = rows[i]->first < *first ? rows[i]->first : *first;
            *last = rows[i]->last > *last ? rows[i]->last : *last;
        }
    }
    if (*first >= *last) {
        return;
    }
    if (life->torus && (*first <= 1 || *last >= life->words + 1)) {
        *first = 1;
        *last = life->words + 1;
        return;
    }
    *first -= *first > 1;
    *last += *last <= life->words;
}

static void next_row(const life *life, uint32_t y)
{
    life_row *const rows[3] = {neighbour(life, y, -1), &life->now[y], neighbour(life, y, 1)};
    life_row *next = &life->next[y];
    size_t first, last;
    /* What this row held two generations ago goes first: words outside the new range must be zero.
     */
    if (next->first < next->last) {
        memset(next->words + next->first, 0, (next->last - next->first) * sizeof(uint64_t));
    }
    reach(life, rows, &first, &last);
    next->first = first;
    next->last = first < last ? last : first;
    if (first >= last) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        const uint64_t *words = rows[i] != NULL ? rows[i]->words : life->empty;
        add_across(words, first, last, life->ones[i], life->twos[i]);
    }
    add_down(life->ones, life->twos, life->now[y].words, next->words, first, last);
    if (last == life->words + 1) {
        next->words[life->words] &= bit_rows_tail_mask(life->width);
    }
    tighten(next);
}

static void step(life *life)
{
    for (uint32_t y = 0; life->torus && y < life->height; y++) {
        set_halo(life, &life->now[y]);
    }
    for (uint32_t y = 0; y < life->height; y++) {
        next_row(life, y);
    }
    for (uint32_t y = 0; life->torus && y < life->height; y++) {
        clear_halo(life, &life->now[y]);
    }
    life_row *now = life->now;
    life->now = life->next;
    life->next = now;
}

static uint64_t population(const life *life)
{
    uint64_t live = 0;
    for (uint32_t y = 0; y < life->height; y++) {
        const life_row *row = &life->now[y];
        for (size_t w = row->first; w < row->last; w++) {
            live += (uint64_t)__builtin_popcountll(row->words[w]);
        }
    }
    return live;
}

routine_result simulate_run(routine_scratch *scratch, const void *request, size_t request_bytes,
                            void *reply, size_t reply_capacity)
{
    struct weir_simulate_request header;
    const char *reason = check_request(request, request_bytes, &header);
    if (reason != NULL) {
        return routine_bad_request(reason);
    }
    const size_t bytes = reply_bytes_for(&header);
    if (reply_capacity < bytes) {
        return routine_reply_too_small();
    }
    life life = {.width = header.width,
                 .height = header.height,
                 .steps = header.steps,
                 .torus = header.topology == SIMULATE_TORUS,
                 .words = bit_rows_words(header.width)};
    if (!lay_out(&life, scratch)) {
        return routine_no_memory();
    }
    if (!load_cells(&life, (const unsigned char *)request + sizeof(header))) {
        return routine_bad_request("the simulate grid has cells beyond its width");
    }
    for (uint32_t i = 0; i < life.steps; i++) {
        step(&life);
    }
    const struct weir_simulate_reply answer = {.width = header.width,
                                               .height = header.height,
                                               .steps = header.steps,
                                               .topology = header.topology,
                                               .flags = header.flags,
                                               .population = population(&life)};
    memcpy(reply, &answer, sizeof(answer));
    for (uint32_t y = 0; (header.flags & SIMULATE_GRID) != 0 && y < life.height; y++) {
        memcpy((char *)reply + sizeof(answer) + y * life.words * sizeof(uint64_t),
               life.now[y].words + 1, life.words * sizeof(uint64_t));
    }
    return routine_done(bytes);
}
