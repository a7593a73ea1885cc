/**
 * Grids of one bit per cell, as requests carry them: rows of 64-bit words, cell x in bit x % 64 of
 * word x / 64, bits beyond the width zero. Plain arithmetic over caller-owned memory; any thread,
 * no status, never blocks.
 */
#ifndef LOOPBACK_ROUTINES_BIT_ROWS_H
#define LOOPBACK_ROUTINES_BIT_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Largest width and height: coordinates then fit 16 bits. */
#define BIT_ROWS_MAX_SIDE 65535u

static inline size_t bit_rows_words(uint32_t width)
{
    return ((size_t)width + 63) / 64;
}

/** Bytes of a whole grid; cannot overflow for sides up to BIT_ROWS_MAX_SIDE. */
static inline size_t bit_rows_bytes(uint32_t width, uint32_t height)
{
    return bit_rows_words(width) * height * sizeof(uint64_t);
}

/** The bits of a row's last word that are cells. */
static inline uint64_t bit_rows_tail_mask(uint32_t width)
{
    return width % 64 == 0 ? ~UINT64_C(0) : (UINT64_C(1) << (width % 64)) - 1;
}

static inline bool bit_rows_get(const uint64_t *cells, uint32_t width, uint32_t x, uint32_t y)
{
    return (cells[(size_t)y * bit_rows_words(width) + x / 64] >> (x % 64) & 1) != 0;
}

static inline void bit_rows_set(uint64_t *cells, uint32_t width, uint32_t x, uint32_t y)
{
    cells[(size_t)y * bit_rows_words(width) + x / 64] |= UINT64_C(1) << (x % 64);
}

/** Fills a grid from a seed (splitmix64, Steele et al. 2014); about `eighths` of 8 cells are set, 0
 * to 8. */
static inline void bit_rows_fill_random(uint64_t *cells, uint32_t width, uint32_t height,
                                        uint64_t seed, unsigned eighths)
{
    const size_t words = bit_rows_words(width);
    for (size_t i = 0; i < words * height; i++) {
        uint64_t bits[3];
        for (size_t k = 0; k < 3; k++) {
            seed += UINT64_C(0x9e3779b97f4a7c15);
            uint64_t z = seed;
            z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
            z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
            bits[k] = z ^ (z >> 31);
        }
        /* Three random bits per cell are a number from 0 to 7; the cell is set when it is below
         * `eighths`. */
        uint64_t set = 0;
        for (unsigned value = 0; value < eighths && value < 8; value++) {
            set |= ((value & 1) ? bits[0] : ~bits[0]) & ((value & 2) ? bits[1] : ~bits[1]) &
                   ((value & 4) ? bits[2] : ~bits[2]);
        }
        cells[i] = i % words == words - 1 ? set & bit_rows_tail_mask(width) : set;
    }
}

#endif
