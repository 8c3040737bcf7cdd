#include "peer/sandbox/order.h"

#include "common/reader.h"
#include "common/writer.h"

enum order_flag {
    FLAG_SYSTEM = 1 << 0,
    FLAG_OWN_FOLDER = 1 << 1,
    FLAG_LOW_PRIORITY = 1 << 2,
    FLAGS_ALL = FLAG_SYSTEM | FLAG_OWN_FOLDER | FLAG_LOW_PRIORITY,
};

uint32_t order_fd_count(const struct order *o)
{
    if (o->kind != ORDER_RUN) {
        return 0;
    }
    return 2 + (o->program == ORDER_PROGRAM_OWN ? 1U : 0U) + (o->own_folder ? 1U : 0U) +
           o->file_count;
}

bool order_name_valid(const char *name)
{
    size_t part = 0;
    size_t at = 0;
    for (; name[at] != '\0'; at++) {
        if (at >= ORDER_NAME_MAX || (unsigned char)name[at] < 0x20 || name[at] == 0x7f) {
            return false;
        }
        if (name[at] != '/') {
            part++;
            continue;
        }
        const char *start = name + at - part;
        if (part == 0 || (part == 1 && start[0] == '.') ||
            (part == 2 && start[0] == '.' && start[1] == '.')) {
            return false;
        }
        part = 0;
    }
    const char *last = name + at - part;
    return part > 0 && strcmp(last, ".") != 0 && strcmp(last, "..") != 0;
}

/* What holds for every order, written or read: the launcher's code relies on it. */
static enum pn_status check(const struct order *o, struct pn_err *err)
{
    const struct order_limits *l = &o->limits;
    if (o->arg_count == 0) {
        return pn_fail(err, PN_E_RANGE, "order: no program name");
    }
    if (l->memory_bytes == 0 || l->output_bytes == 0 || l->tmp_bytes == 0 || l->time_ms == 0 ||
        l->cpu_s == 0 || l->process_count == 0 || l->process_count > ORDER_PROCESSES_MAX ||
        l->inode_count == 0 || l->open_file_count < 8 ||
        l->open_file_count > ORDER_OPEN_FILES_MAX) {
        return pn_fail(err, PN_E_RANGE, "order: a limit is 0 or too large");
    }
    for (uint32_t i = 0; i < o->file_count; i++) {
        const struct order_file *f = &o->files[i];
        bool root = f->folder && f->name[0] == '\0';
        if (!root && !order_name_valid(f->name)) {
            return pn_fail(err, PN_E_RANGE, "order: file name %u is not allowed", i);
        }
    }
    for (uint32_t i = 0; i < o->output_count; i++) {
        if (!order_name_valid(o->outputs[i])) {
            return pn_fail(err, PN_E_RANGE, "order: output name %u is not allowed", i);
        }
    }
    return PN_OK;
}

/* Strings travel with their terminator, so that the launcher can use them where they lie. */
static void write_text(struct writer *w, const char *text)
{
    writer_bytes16(w, (struct pn_bytes){(const uint8_t *)text, strlen(text) + 1});
}

static const char *read_text(struct reader *r)
{
    struct pn_bytes b = reader_bytes16(r, UINT16_MAX);
    if (b.len == 0 || memchr(b.ptr, 0, b.len) != b.ptr + b.len - 1) {
        r->bad = true;
        return "";
    }
    return (const char *)b.ptr;
}

static void write_list(struct writer *w, const char *const *list, uint32_t count)
{
    writer_u16(w, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++) {
        write_text(w, list[i]);
    }
}

static uint32_t read_count(struct reader *r, uint32_t max)
{
    uint32_t count = reader_u16(r);
    if (count > max) {
        r->bad = true;
        return 0;
    }
    return count;
}

static uint32_t read_list(struct reader *r, const char **list, uint32_t max)
{
    uint32_t count = read_count(r, max);
    for (uint32_t i = 0; i < count; i++) {
        list[i] = read_text(r);
    }
    return count;
}

static void write_limits(struct writer *w, const struct order_limits *l)
{
    writer_u64(w, l->memory_bytes);
    writer_u64(w, l->output_bytes);
    writer_u64(w, l->tmp_bytes);
    writer_u32(w, l->time_ms);
    writer_u32(w, l->cpu_s);
    writer_u32(w, l->process_count);
    writer_u32(w, l->inode_count);
    writer_u32(w, l->open_file_count);
}

static void read_limits(struct reader *r, struct order_limits *l)
{
    l->memory_bytes = reader_u64(r);
    l->output_bytes = reader_u64(r);
    l->tmp_bytes = reader_u64(r);
    l->time_ms = reader_u32(r);
    l->cpu_s = reader_u32(r);
    l->process_count = reader_u32(r);
    l->inode_count = reader_u32(r);
    l->open_file_count = reader_u32(r);
}

enum pn_status order_write(const struct order *o, uint8_t *out, size_t *len, struct pn_err *err)
{
    struct writer w = writer_of(out, ORDER_BYTES_MAX);
    writer_u8(&w, (uint8_t)o->kind);
    writer_u32(&w, o->id);
    if (o->kind == ORDER_RUN) {
        if (o->arg_count > ORDER_ARGS_MAX || o->env_count > ORDER_ENV_MAX ||
            o->file_count > ORDER_FILES_MAX || o->output_count > ORDER_OUTPUTS_MAX) {
            return pn_fail(err, PN_E_TOO_BIG,
                           "order: %u arguments, %u variables, %u files, %u outputs; at most "
                           "%d, %d, %d, %d",
                           o->arg_count, o->env_count, o->file_count, o->output_count,
                           ORDER_ARGS_MAX, ORDER_ENV_MAX, ORDER_FILES_MAX, ORDER_OUTPUTS_MAX);
        }
        enum pn_status status = check(o, err);
        if (status != PN_OK) {
            return status;
        }
        writer_u8(&w, (uint8_t)o->program);
        writer_u8(&w,
                  (uint8_t)((o->system ? FLAG_SYSTEM : 0) | (o->own_folder ? FLAG_OWN_FOLDER : 0) |
                            (o->low_priority ? FLAG_LOW_PRIORITY : 0)));
        write_limits(&w, &o->limits);
        write_list(&w, o->args, o->arg_count);
        write_list(&w, o->env, o->env_count);
        writer_u16(&w, (uint16_t)o->file_count);
        for (uint32_t i = 0; i < o->file_count; i++) {
            writer_u8(&w, o->files[i].folder ? 1 : 0);
            write_text(&w, o->files[i].name);
        }
        write_list(&w, o->outputs, o->output_count);
    }
    if (w.full) {
        return pn_fail(err, PN_E_TOO_BIG,
                       "order: arguments and environment over %d bytes, or one over %d",
                       ORDER_BYTES_MAX, UINT16_MAX - 1);
    }
    *len = w.len;
    return PN_OK;
}

static void read_run(struct reader *r, struct order_room *room, struct order *o)
{
    uint8_t program = reader_u8(r);
    uint8_t flags = reader_u8(r);
    if (program > ORDER_PROGRAM_SYSTEM || (flags & ~FLAGS_ALL) != 0) {
        r->bad = true;
        return;
    }
    o->program = (enum order_program)program;
    o->system = (flags & FLAG_SYSTEM) != 0;
    o->own_folder = (flags & FLAG_OWN_FOLDER) != 0;
    o->low_priority = (flags & FLAG_LOW_PRIORITY) != 0;
    read_limits(r, &o->limits);
    o->arg_count = read_list(r, room->args, ORDER_ARGS_MAX);
    o->env_count = read_list(r, room->env, ORDER_ENV_MAX);
    room->args[o->arg_count] = NULL;
    room->env[o->env_count] = NULL;
    o->file_count = read_count(r, ORDER_FILES_MAX);
    for (uint32_t i = 0; i < o->file_count; i++) {
        uint8_t folder = reader_u8(r);
        r->bad = r->bad || folder > 1;
        room->files[i] = (struct order_file){.folder = folder == 1, .name = read_text(r)};
    }
    o->output_count = read_list(r, room->outputs, ORDER_OUTPUTS_MAX);
    o->args = room->args;
    o->env = room->env;
    o->files = room->files;
    o->outputs = room->outputs;
}

enum pn_status order_parse(struct pn_bytes in, struct order_room *room, struct order *out,
                           struct pn_err *err)
{
    struct reader r = reader_of(in);
    uint8_t kind = reader_u8(&r);
    struct order o = {.kind = (enum order_kind)kind, .id = reader_u32(&r)};
    if (kind == ORDER_RUN) {
        read_run(&r, room, &o);
    } else if (kind != ORDER_KILL) {
        return pn_fail(err, PN_E_MALFORMED, "order: kind %u", kind);
    }
    if (!reader_finish(&r)) {
        return pn_fail(err, PN_E_MALFORMED, "order: bad length or value (%zu bytes)", in.len);
    }
    if (kind == ORDER_RUN) {
        enum pn_status status = check(&o, err);
        if (status != PN_OK) {
            return status;
        }
    }
    *out = o;
    return PN_OK;
}
