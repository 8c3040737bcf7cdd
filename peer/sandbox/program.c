#include "peer/sandbox/program.h"

enum {
    ELF_CLASS_AT = 4,
    ELF_ORDER_AT = 5,
    ELF_MACHINE_AT = 18,
    ELF_NEEDED = 20,
};

static bool is_elf(struct pn_bytes b)
{
    return b.len >= ELF_NEEDED && memcmp(b.ptr, "\177ELF", 4) == 0;
}

enum program_form program_form_of(struct pn_bytes head, struct pn_bytes own)
{
    if (head.len >= 2 && head.ptr[0] == '#' && head.ptr[1] == '!') {
        return PROGRAM_FORM_SCRIPT;
    }
    if (!is_elf(head)) {
        return PROGRAM_FORM_UNKNOWN;
    }
    bool native = is_elf(own) && head.ptr[ELF_CLASS_AT] == own.ptr[ELF_CLASS_AT] &&
                  head.ptr[ELF_ORDER_AT] == own.ptr[ELF_ORDER_AT] &&
                  memcmp(head.ptr + ELF_MACHINE_AT, own.ptr + ELF_MACHINE_AT, 2) == 0;
    return native ? PROGRAM_FORM_NATIVE : PROGRAM_FORM_FOREIGN;
}
