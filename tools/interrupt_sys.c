#include "tools/interrupt_sys.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "tools/command.h"

static volatile sig_atomic_t count;

static void on_signal(int number)
{
    (void)number;
    if (count > 0) {
        _exit(EXIT_CODE_INTERRUPTED);
    }
    count = 1;
}

void interrupt_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* no SA_RESTART: poll must return */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool interrupt_came(void) { return count > 0; }
