/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Modbus by profile: what config/profiles/NAME.yaml with `bus: registers` becomes (one flat block, checked
 * when it was made), and the poll record that the transport hands to the driver, one per round.
 *
 * A poll record is, for each block of the profile in order,
 *
 *   n u8, 1..250   then n bytes: registers as on the wire, high byte first; bits one byte each, 0 or 1
 *   0 u8           then why u8: the slave's exception code, or one of enum vg_registers_why
 *
 * and nothing behind the last block.
 */
#pragma once

#include <vitalgate/driver.h>

#define VG_REGISTERS_ITEMS_MAX 32
#define VG_REGISTERS_BLOCKS_MAX 32
#define VG_REGISTERS_WORDS_MAX 96  /* of the enums of all items */
#define VG_REGISTERS_INVALID_MAX 8 /* of one item */
#define VG_REGISTERS_STRING_MAX 31 /* registers of one text: it has to fit a note */
/* Bytes of a block: the 125 registers of one answer; as many bits, though an answer could carry 2000. */
#define VG_REGISTERS_BYTES_MAX 250
#define VG_REGISTERS_RECORD_MAX (VG_REGISTERS_BLOCKS_MAX * (1 + VG_REGISTERS_BYTES_MAX))

/* Why a block has no data, beside the exceptions 0x01 to 0x0b. */
enum vg_registers_why {
	VG_REGISTERS_TIMEOUT = 0x80,	/* no answer */
	VG_REGISTERS_GARBLED = 0x81,	/* an answer with a wrong CRC, length, function or number */
	VG_REGISTERS_CONNECTION = 0x82, /* the line or the connection was lost */
};

enum vg_registers_type {
	VG_REGISTERS_BIT,
	VG_REGISTERS_INT16,
	VG_REGISTERS_UINT16,
	VG_REGISTERS_INT32,
	VG_REGISTERS_UINT32,
	VG_REGISTERS_FLOAT32,
	VG_REGISTERS_BCD16,
	VG_REGISTERS_STRING,
};

/* How the four bytes of two registers lie on the wire; ABCD: highest first. */
enum vg_registers_order {
	VG_REGISTERS_ABCD,
	VG_REGISTERS_CDAB,
	VG_REGISTERS_BADC,
	VG_REGISTERS_DCBA,
};

struct vg_registers_block {
	uint8_t function; /* 1 coils, 2 discrete inputs, 3 holding, 4 input registers */
	uint16_t address; /* as on the wire: the first is 0 */
	uint16_t count;	  /* registers or bits */
};

struct vg_registers_word {
	uint32_t number; /* after mask and shift */
	char text[24];
};

struct vg_registers_item {
	char name[24];
	uint8_t block, at, size; /* its bytes: of which block, from where, how many */
	uint8_t type, order;
	bool invert, flag; /* `flag`: a word is a flag of the reading, else a note */
	bool has_mask, has_min, has_max, has_deadband;
	uint8_t shift;
	uint8_t decimals; /* rounded half away from zero to so many */
	uint32_t mask;
	struct vg_decimal scale, offset, min, max, deadband;
	char code[32], unit[16]; /* code "": no number of the reading, but a note */
	uint8_t n_invalid;
	uint32_t invalid[VG_REGISTERS_INVALID_MAX];
	uint32_t max_unchanged_s; /* 0: may stand still for ever */
	char stuck[32];		  /* the flag that says so: "temp_stuck" */
	uint8_t word, n_words;	  /* in words[] */
};

struct vg_registers {
	char kind[16]; /* of the readings */
	/* 0: each round is a reading. Else a round is one when something moved by more than its deadband, and at
	 * the latest so long after the last. */
	uint32_t max_interval_s;
	uint8_t n_blocks, n_items;
	struct vg_registers_block blocks[VG_REGISTERS_BLOCKS_MAX];
	struct vg_registers_item items[VG_REGISTERS_ITEMS_MAX];
	struct vg_registers_word words[VG_REGISTERS_WORDS_MAX];
};

/* Bytes of a block in a poll record, without the length before them. */
static inline size_t vg_registers_bytes(const struct vg_registers_block *b)
{
	return b->function <= 2 ? b->count : 2u * b->count;
}
