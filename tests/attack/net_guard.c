/* Writes down, in the file that NET_GUARD_LOG names, everything that a process opens for writing and every way out of
   the machine that it tries; loaded with LD_PRELOAD. It forbids nothing: what would have happened is what is wanted. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *what, const char *where) {
    const char *log = getenv("NET_GUARD_LOG");
    char line[4200];
    if (log == NULL || where == NULL || strcmp(where, log) == 0) return;
    int length = snprintf(line, sizeof line, "%s %s\n", what, where);
    long file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return;
    if (length > (int)sizeof line - 1) length = sizeof line - 1;
    (void)!write((int)file, line, (size_t)length);
    syscall(SYS_close, file);
}

#define REAL(type, name, arguments) type (*real) arguments = (type (*) arguments)dlsym(RTLD_NEXT, #name)
#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, last); mode = va_arg(rest, mode_t); va_end(rest); }
#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & O_CREAT))

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, (const char *, int, ...)); MODE(flags, flags) \
        if (WRITES(flags)) note("write", path); \
        return real(path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int, name, (int, const char *, int, ...)); MODE(flags, flags) \
        if (WRITES(flags)) note("write", path); \
        return real(folder, path, flags, mode); \
    }
#define FOPEN(name) \
    FILE *name(const char *path, const char *how) { \
        REAL(FILE *, name, (const char *, const char *)); \
        if (strpbrk(how, "wa+")) note("write", path); \
        return real(path, how); \
    }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64) FOPEN(fopen) FOPEN(fopen64)

int creat(const char *path, mode_t mode) { REAL(int, creat, (const char *, mode_t)); note("write", path); return real(path, mode); }
int mkdir(const char *path, mode_t mode) { REAL(int, mkdir, (const char *, mode_t)); note("mkdir", path); return real(path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(int, mkdirat, (int, const char *, mode_t)); note("mkdir", path); return real(folder, path, mode);
}

static void note_address(const char *what, const struct sockaddr *address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address == NULL) return;
    if (address->sa_family == AF_INET) inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    else if (address->sa_family == AF_INET6) inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
    else return; /* a socket file stays on this machine */
    note(what, text);
}
int connect(int number, const struct sockaddr *address, socklen_t size) {
    REAL(int, connect, (int, const struct sockaddr *, socklen_t)); note_address("connect", address); return real(number, address, size);
}
ssize_t sendto(int number, const void *data, size_t size, int flags, const struct sockaddr *address, socklen_t length) {
    REAL(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t));
    note_address("send", address);
    return real(number, data, size, flags, address, length);
}
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found) {
    REAL(int, getaddrinfo, (const char *, const char *, const struct addrinfo *, struct addrinfo **));
    note("lookup", host ? host : "(any)"); return real(host, port, hints, found);
}
struct hostent *gethostbyname(const char *host) {
    REAL(struct hostent *, gethostbyname, (const char *)); note("lookup", host); return real(host);
}
