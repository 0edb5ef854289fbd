/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interpreter's kernels: each works out one node for 32 or 64 packets, in loops that the
 * compiler turns into vector code. To be included by a file for each instruction set, which says
 * what its name ends in and which attribute its functions have:
 *
 *	#define UNIT_SUFFIX(name) name##_avx2
 *	#define UNIT_TARGET       __attribute__((target("avx2")))
 *	#define UNIT_VECTOR       32	bytes of a register
 *
 * Columns from the last packet on have some value, which nobody looks at.
 */
#include "steering/unit_plan.h"
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define UNIT_BLOCK  32
#define UNIT_INLINE static inline __attribute__((always_inline))
#define UNIT_KERNEL(name)                                                                          \
	UNIT_TARGET static void name(const struct unit_frame *frame, const struct unit_op *op)

/* A column, and a word. */
#define UNIT_AT(type, offset)                                                                      \
	((type *)__builtin_assume_aligned(frame->scratch + (offset), PACKET_BURST))
#define UNIT_WORD_AT(offset)                                                                       \
	((uint64_t *)__builtin_assume_aligned(frame->scratch + (offset), UNIT_WORD))

/* Vectors of the instruction set, in the columns' memory; how many there are to a block. */
#define UNIT_LANES(type) (UNIT_VECTOR / (uint32_t)sizeof(type))
#define UNIT_TURNS(type) (UNIT_BLOCK / UNIT_LANES(type))
typedef uint8_t unit_v_uint8_t __attribute__((vector_size(UNIT_VECTOR), may_alias));
typedef uint16_t unit_v_uint16_t __attribute__((vector_size(UNIT_VECTOR), may_alias));
typedef uint32_t unit_v_uint32_t __attribute__((vector_size(UNIT_VECTOR), may_alias));

/* --- words ----------------------------------------------------------------------------------- */

/* A bit for each packet of a block, of vectors in which each has all bits set or none. */
#if defined(UNIT_AVX2)

#define UNIT_M(i) ((__m256i)masks[i])

UNIT_TARGET UNIT_INLINE uint32_t unit_word_uint8_t(const unit_v_uint8_t *masks)
{
	return (uint32_t)_mm256_movemask_epi8(UNIT_M(0));
}

/* Packing leaves the halves of the registers where they are: they are put in order after it. */
UNIT_TARGET UNIT_INLINE uint32_t unit_word_uint16_t(const unit_v_uint16_t *masks)
{
	__m256i packed = _mm256_packs_epi16(UNIT_M(0), UNIT_M(1));

	return (uint32_t)_mm256_movemask_epi8(_mm256_permute4x64_epi64(packed, 0xd8));
}

UNIT_TARGET UNIT_INLINE uint32_t unit_word_uint32_t(const unit_v_uint32_t *masks)
{
	__m256i low = _mm256_packs_epi32(UNIT_M(0), UNIT_M(1));
	__m256i high = _mm256_packs_epi32(UNIT_M(2), UNIT_M(3));
	__m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);

	return (uint32_t)_mm256_movemask_epi8(
		_mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
}

#elif defined(__x86_64__)

#define UNIT_M(i) ((__m128i)masks[i])

UNIT_INLINE uint32_t unit_word_uint8_t(const unit_v_uint8_t *masks)
{
	return (uint32_t)_mm_movemask_epi8(UNIT_M(0)) | (uint32_t)_mm_movemask_epi8(UNIT_M(1))
								<< 16;
}

UNIT_INLINE uint32_t unit_word_uint16_t(const unit_v_uint16_t *masks)
{
	__m128i low = _mm_packs_epi16(UNIT_M(0), UNIT_M(1));
	__m128i high = _mm_packs_epi16(UNIT_M(2), UNIT_M(3));

	return (uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16;
}

UNIT_INLINE uint32_t unit_word_uint32_t(const unit_v_uint32_t *masks)
{
	__m128i low = _mm_packs_epi16(_mm_packs_epi32(UNIT_M(0), UNIT_M(1)),
				      _mm_packs_epi32(UNIT_M(2), UNIT_M(3)));
	__m128i high = _mm_packs_epi16(_mm_packs_epi32(UNIT_M(4), UNIT_M(5)),
				       _mm_packs_epi32(UNIT_M(6), UNIT_M(7)));

	return (uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16;
}

#else

#define UNIT_BITS_OF(type)                                                                         \
	UNIT_INLINE uint32_t unit_word_##type(const unit_v_##type *masks)                          \
	{                                                                                          \
		uint32_t bits = 0;                                                                 \
                                                                                                   \
		for (uint32_t i = 0; i < UNIT_BLOCK; i++)                                          \
			bits |= (uint32_t)(masks[i / UNIT_LANES(type)][i % UNIT_LANES(type)] & 1)  \
				<< i;                                                              \
		return bits;                                                                       \
	}

UNIT_BITS_OF(uint8_t)
UNIT_BITS_OF(uint16_t)
UNIT_BITS_OF(uint32_t)

#endif

/* --- loads ----------------------------------------------------------------------------------- */

UNIT_INLINE uint8_t unit_order_uint8_t(uint8_t x)
{
	return x;
}

UNIT_INLINE uint16_t unit_order_uint16_t(uint16_t x)
{
	return __builtin_bswap16(x);
}

UNIT_INLINE uint32_t unit_order_uint32_t(uint32_t x)
{
	return __builtin_bswap32(x);
}

static const uint8_t unit_zeros[4];

/* Where to load from, or zeros: without a branch, which the next packet would mispredict. */
UNIT_INLINE const uint8_t *unit_load_from(const struct packet *pkt, uint64_t at, bool fits)
{
	uintptr_t zeros = (uintptr_t)unit_zeros, from = (uintptr_t)pkt->data + at;

	return (const uint8_t *)(zeros ^ ((zeros ^ from) & -(uintptr_t)fits));
}

/* Loads take most of the time: four in a turn are a fifth faster. */
#define UNIT_LOAD(type)                                                                            \
	UNIT_KERNEL(unit_load_##type)                                                              \
	{                                                                                          \
		uint64_t k = op->k, end = k + sizeof(type);                                        \
		const struct packet *pkts = frame->pkts;                                           \
		type *restrict out = UNIT_AT(type, op->out), x;                                    \
		size_t cnt = frame->cnt, sure = end <= frame->len_min ? cnt : 0;                   \
                                                                                                   \
		_Pragma("GCC unroll 4") for (size_t i = 0; i < sure; i++)                          \
		{                                                                                  \
			memcpy(&x, pkts[i].data + k, sizeof(x));                                   \
			out[i] = unit_order_##type(x);                                             \
		}                                                                                  \
		_Pragma("GCC unroll 4") for (size_t i = sure; i < cnt; i++)                        \
		{                                                                                  \
			memcpy(&x, unit_load_from(&pkts[i], k, end <= frame->len[i]), sizeof(x));  \
			out[i] = unit_order_##type(x);                                             \
		}                                                                                  \
	}

#define UNIT_LOAD_AT(type, offset)                                                                 \
	UNIT_KERNEL(unit_load_##type##_at_##offset)                                                \
	{                                                                                          \
		const struct packet *pkts = frame->pkts;                                           \
		const offset *a = UNIT_AT(offset, op->a);                                          \
		type *restrict out = UNIT_AT(type, op->out), x;                                    \
		uint64_t k = op->k;                                                                \
		size_t cnt = frame->cnt;                                                           \
                                                                                                   \
		_Pragma("GCC unroll 4") for (size_t i = 0; i < cnt; i++)                           \
		{                                                                                  \
			uint64_t at = k + a[i];                                                    \
			bool fits = at + sizeof(x) <= frame->len[i];                               \
                                                                                                   \
			memcpy(&x, unit_load_from(&pkts[i], at, fits), sizeof(x));                 \
			out[i] = unit_order_##type(x);                                             \
		}                                                                                  \
	}

UNIT_KERNEL(unit_wire_len)
{
	uint32_t *out = UNIT_AT(uint32_t, op->out);

	for (uint32_t i = 0; i < frame->cnt; i++)
		out[i] = frame->pkts[i].meta->wire_len;
}

/* --- columns --------------------------------------------------------------------------------- */

#define UNIT_LOOP(type, expression)                                                                \
	do {                                                                                       \
		for (size_t j = 0; j < frame->columns; j += UNIT_BLOCK)                            \
			for (size_t i = j; i < j + UNIT_BLOCK; i++)                                \
				out[i] = (type)(expression);                                       \
	} while (0)

/* A node of two columns, and one of a column and a constant. */
#define UNIT_VALUE(name, type, expression)                                                         \
	UNIT_KERNEL(unit_##name##_##type)                                                          \
	{                                                                                          \
		type *restrict out = UNIT_AT(type, op->out);                                       \
		const type *a = UNIT_AT(type, op->a), *b = UNIT_AT(type, op->b);                   \
                                                                                                   \
		UNIT_LOOP(type, expression(a[i], b[i]));                                           \
	}                                                                                          \
	UNIT_KERNEL(unit_##name##_##type##_k)                                                      \
	{                                                                                          \
		type *restrict out = UNIT_AT(type, op->out);                                       \
		const type *a = UNIT_AT(type, op->a), k = (type)op->k;                             \
                                                                                                   \
		UNIT_LOOP(type, expression(a[i], k));                                              \
	}

#define UNIT_ADD(x, y) ((x) + (y))
#define UNIT_SUB(x, y) ((x) - (y))
#define UNIT_MUL(x, y) ((uint32_t)(x) * (y))
#define UNIT_AND(x, y) ((x) & (y))
#define UNIT_OR(x, y)  ((x) | (y))
#define UNIT_XOR(x, y) ((x) ^ (y))
#define UNIT_LSH(x, y) ((y) < 32 ? (uint32_t)(x) << ((y)&31) : 0)
#define UNIT_RSH(x, y) ((y) < 32 ? (uint32_t)(x) >> ((y)&31) : 0)
#define UNIT_DIV(x, y) ((y) ? (x) / (y) : 0)
#define UNIT_MOD(x, y) ((y) ? (x) % (y) : 0)

#define UNIT_SELECT(type)                                                                          \
	UNIT_KERNEL(unit_select_##type)                                                            \
	{                                                                                          \
		type *restrict out = UNIT_AT(type, op->out);                                       \
		const type *a = UNIT_AT(type, op->a), *b = UNIT_AT(type, op->b);                   \
		uint64_t test = *UNIT_WORD_AT(op->c);                                              \
                                                                                                   \
		UNIT_LOOP(type, test >> i & 1 ? a[i] : b[i]);                                      \
	}

#define UNIT_FILL_WITH(type)                                                                       \
	UNIT_KERNEL(unit_fill_##type)                                                              \
	{                                                                                          \
		type *out = UNIT_AT(type, op->out);                                                \
                                                                                                   \
		UNIT_LOOP(type, op->k);                                                            \
	}

#define UNIT_WIDEN_TO(type, from)                                                                  \
	UNIT_KERNEL(unit_widen_##from##_##type)                                                    \
	{                                                                                          \
		type *restrict out = UNIT_AT(type, op->out);                                       \
		const from *a = UNIT_AT(from, op->a);                                              \
                                                                                                   \
		UNIT_LOOP(type, a[i]);                                                             \
	}

/* --- tests ----------------------------------------------------------------------------------- */

/* The word of an expression on vectors, of which `at` is the number. */
#define UNIT_WORD_OF(type, expression)                                                             \
	do {                                                                                       \
		uint64_t word = 0;                                                                 \
                                                                                                   \
		for (size_t j = 0; j < frame->columns / UNIT_BLOCK; j++) {                         \
			unit_v_##type masks[UNIT_TURNS(type)];                                     \
                                                                                                   \
			for (size_t i = 0; i < UNIT_TURNS(type); i++) {                            \
				size_t at = j * UNIT_TURNS(type) + i;                              \
                                                                                                   \
				masks[i] = (unit_v_##type)(expression);                            \
			}                                                                          \
			word |= (uint64_t)unit_word_##type(masks) << (j * UNIT_BLOCK);             \
		}                                                                                  \
		*UNIT_WORD_AT(op->out) = word;                                                     \
	} while (0)

#define UNIT_TEST(name, type, expression)                                                          \
	UNIT_KERNEL(unit_##name##_##type)                                                          \
	{                                                                                          \
		const unit_v_##type *a = UNIT_AT(unit_v_##type, op->a);                            \
		const unit_v_##type *b = UNIT_AT(unit_v_##type, op->b), zero = {0};                \
                                                                                                   \
		UNIT_WORD_OF(type, expression(a[at], b[at], zero));                                \
	}                                                                                          \
	UNIT_KERNEL(unit_##name##_##type##_k)                                                      \
	{                                                                                          \
		const unit_v_##type *a = UNIT_AT(unit_v_##type, op->a), zero = {0};                \
		const unit_v_##type k = zero + (type)op->k;                                        \
                                                                                                   \
		UNIT_WORD_OF(type, expression(a[at], k, zero));                                    \
	}

#define UNIT_EQ(x, y, zero)   ((void)(zero), (x) == (y))
#define UNIT_GT(x, y, zero)   ((void)(zero), (x) > (y))
#define UNIT_BITS(x, y, zero) (((x) & (y)) != (zero))

UNIT_KERNEL(unit_fits_k)
{
	const unit_v_uint32_t *len = (const void *)frame->len, k = (unit_v_uint32_t){0} + op->k;

	if (op->k <= frame->len_min)
		*UNIT_WORD_AT(op->out) = UINT64_MAX;
	else
		UNIT_WORD_OF(uint32_t, len[at] >= k);
}

UNIT_KERNEL(unit_fits_at)
{
	const unit_v_uint32_t *a = UNIT_AT(unit_v_uint32_t, op->a);
	const unit_v_uint32_t *len = (const void *)frame->len, k = (unit_v_uint32_t){0} + op->k;

	UNIT_WORD_OF(uint32_t, (len[at] >= k) & (a[at] <= len[at] - k));
}

UNIT_KERNEL(unit_extern)
{
	const struct expression *expression = frame->unit->expressions[op->k];
	uint64_t word = 0;

	for (uint32_t i = 0; i < frame->cnt; i++) {
		const struct packet *pkt = &frame->pkts[i];
		uint64_t is =
			expression_match(expression, pkt->data, pkt->meta->wire_len, pkt->len);

		word |= is << i;
	}
	*UNIT_WORD_AT(op->out) = word;
}

UNIT_KERNEL(unit_junctions)
{
	const struct unit_junction *junction = &frame->unit->plan->junctions[op->a];
	const struct unit_junction *end = &frame->unit->plan->junctions[op->b];

	for (; junction < end; junction++) {
		uint64_t a = *UNIT_WORD_AT(junction->a) ^ -(uint64_t)junction->flip_a;
		uint64_t b = *UNIT_WORD_AT(junction->b) ^ -(uint64_t)junction->flip_b;

		*UNIT_WORD_AT(junction->out) = (a & b) ^ -(uint64_t)junction->flip;
	}
}

/* --- all of them ----------------------------------------------------------------------------- */

#define UNIT_OF_TYPE(type)                                                                         \
	UNIT_LOAD(type)                                                                            \
	UNIT_LOAD_AT(type, uint8_t)                                                                \
	UNIT_LOAD_AT(type, uint16_t)                                                               \
	UNIT_LOAD_AT(type, uint32_t)                                                               \
	UNIT_VALUE(add, type, UNIT_ADD)                                                            \
	UNIT_VALUE(sub, type, UNIT_SUB)                                                            \
	UNIT_VALUE(mul, type, UNIT_MUL)                                                            \
	UNIT_VALUE(div, type, UNIT_DIV)                                                            \
	UNIT_VALUE(mod, type, UNIT_MOD)                                                            \
	UNIT_VALUE(and, type, UNIT_AND)                                                            \
	UNIT_VALUE(or, type, UNIT_OR)                                                              \
	UNIT_VALUE(xor, type, UNIT_XOR)                                                            \
	UNIT_VALUE(lsh, type, UNIT_LSH)                                                            \
	UNIT_VALUE(rsh, type, UNIT_RSH)                                                            \
	UNIT_SELECT(type)                                                                          \
	UNIT_FILL_WITH(type)                                                                       \
	UNIT_TEST(eq, type, UNIT_EQ)                                                               \
	UNIT_TEST(gt, type, UNIT_GT)                                                               \
	UNIT_TEST(bits, type, UNIT_BITS)

UNIT_OF_TYPE(uint8_t)
UNIT_OF_TYPE(uint16_t)
UNIT_OF_TYPE(uint32_t)
UNIT_WIDEN_TO(uint16_t, uint8_t)
UNIT_WIDEN_TO(uint32_t, uint8_t)
UNIT_WIDEN_TO(uint32_t, uint16_t)

#define UNIT_LOADS_OF(type)                                                                        \
	{                                                                                          \
		unit_load_##type, unit_load_##type##_at_uint8_t, unit_load_##type##_at_uint16_t,   \
			unit_load_##type##_at_uint32_t                                             \
	}
#define UNIT_PAIR(name, type)                                                                      \
	{                                                                                          \
		unit_##name##_##type, unit_##name##_##type##_k                                     \
	}
#define UNIT_PAIRS(name)                                                                           \
	{                                                                                          \
		UNIT_PAIR(name, uint8_t), UNIT_PAIR(name, uint16_t), UNIT_PAIR(name, uint32_t)     \
	}

const unit_kernel_table UNIT_SUFFIX(unit_kernels) = {
	[GRAPH_WIRE_LEN] = {[2] = {unit_wire_len}},
	[GRAPH_LOAD] = {UNIT_LOADS_OF(uint8_t), UNIT_LOADS_OF(uint16_t), UNIT_LOADS_OF(uint32_t)},
	[GRAPH_ADD] = UNIT_PAIRS(add),
	[GRAPH_SUB] = UNIT_PAIRS(sub),
	[GRAPH_MUL] = UNIT_PAIRS(mul),
	[GRAPH_DIV] = UNIT_PAIRS(div),
	[GRAPH_MOD] = UNIT_PAIRS(mod),
	[GRAPH_AND] = UNIT_PAIRS(and),
	[GRAPH_OR] = UNIT_PAIRS(or),
	[GRAPH_XOR] = UNIT_PAIRS(xor),
	[GRAPH_LSH] = UNIT_PAIRS(lsh),
	[GRAPH_RSH] = UNIT_PAIRS(rsh),
	[GRAPH_SELECT] = {{unit_select_uint8_t}, {unit_select_uint16_t}, {unit_select_uint32_t}},
	[GRAPH_FITS] = {[2] = {unit_fits_k, unit_fits_at}},
	[GRAPH_EQ] = UNIT_PAIRS(eq),
	[GRAPH_GT] = UNIT_PAIRS(gt),
	[GRAPH_BITS] = UNIT_PAIRS(bits),
	[GRAPH_EXTERN] = {{unit_extern}},
	[UNIT_WIDEN] = {[1] = {unit_widen_uint8_t_uint16_t},
			[2] = {unit_widen_uint8_t_uint32_t, unit_widen_uint16_t_uint32_t}},
	[UNIT_FILL] = {{unit_fill_uint8_t}, {unit_fill_uint16_t}, {unit_fill_uint32_t}},
	[UNIT_JUNCTIONS] = {{unit_junctions}},
};
