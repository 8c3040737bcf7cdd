#include "peer/sandbox/caps.h"

#include <inttypes.h>

#include "jobs/program.h"

enum {
    INODES = 16 * 1024, /* about 16 MiB of the kernel's memory at worst */
    OPEN_FILES = 1024,
    TMP_BYTES_LEAST = 1 << 20,
    OWN_PROGRAM_BYTES = 16 << 20,
};

static enum pn_status check(const char *what, uint64_t asked, uint64_t cap, struct pn_err *err)
{
    if (cap == 0 || asked <= cap) {
        return PN_OK;
    }
    return pn_fail(err, PN_E_DENIED,
                   "limits: %s = %" PRIu64 " asked for, at most %" PRIu64 " on this machine", what,
                   asked, cap);
}

enum pn_status caps_check(const struct limits *asked, const struct limits *caps, struct pn_err *err)
{
    enum pn_status status = check("time", asked->time_s, caps->time_s, err);
    if (status == PN_OK) {
        status = check("cpu", asked->cpu_s, caps->cpu_s, err);
    }
    if (status == PN_OK) {
        status = check("memory", asked->memory_bytes, caps->memory_bytes, err);
    }
    if (status == PN_OK) {
        status = check("processes", asked->process_count, caps->process_count, err);
    }
    if (status == PN_OK) {
        status = check("output", asked->output_bytes, caps->output_bytes, err);
    }
    return status;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

struct limits caps_of_machine(uint64_t ram_bytes)
{
    struct limits caps = LIMITS_MAX;
    uint64_t memory = larger(caps_budget(ram_bytes), LIMITS_DEFAULT.memory_bytes);
    uint64_t output = larger(ram_bytes / 8, LIMITS_DEFAULT.output_bytes);
    caps.memory_bytes = memory < caps.memory_bytes ? memory : caps.memory_bytes;
    caps.output_bytes = output < caps.output_bytes ? output : caps.output_bytes;
    return caps;
}

uint64_t caps_budget(uint64_t ram_bytes) { return ram_bytes / 4 * 3; }

uint64_t caps_weight(const struct limits *asked, enum program_kind kind, const char *name)
{
    if (kind != PROGRAM_OWN) {
        return asked->memory_bytes + 2 * asked->output_bytes;
    }
    const struct job_program *program = job_program_find(name);
    uint64_t writes = program != NULL ? program->output_bytes_max : UINT64_MAX;
    return OWN_PROGRAM_BYTES + (asked->output_bytes < writes ? asked->output_bytes : writes);
}

struct order_limits caps_order(const struct limits *asked)
{
    uint64_t ms = (uint64_t)asked->time_s * 1000;
    return (struct order_limits){
        .memory_bytes = asked->memory_bytes,
        .output_bytes = asked->output_bytes > 0 ? asked->output_bytes : 1, /* 0: leaves nothing */
        .tmp_bytes = asked->output_bytes > TMP_BYTES_LEAST ? asked->output_bytes : TMP_BYTES_LEAST,
        .time_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX,
        .cpu_s = asked->cpu_s,
        .process_count = asked->process_count,
        .inode_count = INODES,
        .open_file_count = OPEN_FILES,
    };
}
