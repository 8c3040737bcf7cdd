/* The launcher, two seconds later. */
#include <unistd.h>

int main(int argc, char **argv)
{
    enum { SECONDS = 2 };
    (void)argc;
    (void)sleep(SECONDS);
    (void)execv(LAUNCHER, argv);
    return 1;
}
