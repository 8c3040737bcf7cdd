/*
 * clock_sys -- durations and dates. Decisions use durations only; dates are for people.
 */
#ifndef PREON_COMMON_CLOCK_SYS_H
#define PREON_COMMON_CLOCK_SYS_H

#include <stdint.h>

/* Milliseconds since some fixed moment; goes on while the machine sleeps, never jumps. */
uint64_t clock_now_ms(void);

/* The same clock in microseconds, for measuring. */
uint64_t clock_now_us(void);

/* Milliseconds since 1970, UTC; may jump. */
uint64_t clock_wall_ms(void);

#endif
