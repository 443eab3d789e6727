/* Loaded before libc by the tests of a store in trouble: writes and syncs of files whose name has "usher.db" in it fail with the number
   that stands in the file that FAILING_WRITES names, while there is one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int failing(int fd) {
    char link[64], name[4096], number[16] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    const char *control = getenv("FAILING_WRITES");
    if (!control || !strstr(name, "usher.db")) return 0;
    int file = open(control, O_RDONLY);
    if (file < 0) return 0;
    length = read(file, number, sizeof number - 1);
    close(file);
    if (length <= 0) return 0;
    errno = atoi(number);
    return errno != 0;
}

#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    NEXT(pwrite64);
    return failing(fd) ? -1 : next(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    NEXT(pwrite);
    return failing(fd) ? -1 : next(fd, bytes, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    NEXT(write);
    return failing(fd) ? -1 : next(fd, bytes, count);
}

int ftruncate64(int fd, off64_t length) {
    NEXT(ftruncate64);
    return failing(fd) ? -1 : next(fd, length);
}

int fsync(int fd) {
    NEXT(fsync);
    return failing(fd) ? -1 : next(fd);
}

int fdatasync(int fd) {
    NEXT(fdatasync);
    return failing(fd) ? -1 : next(fd);
}
