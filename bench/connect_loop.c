/* The least that a connecting prober costs: non-blocking connect, epoll, SO_ERROR, close with FIN; nothing around it.
 *
 * connect_loop PORT TARGETS RATE COUNTER
 *
 * Connects to 127.1.0.1 and the TARGETS - 1 addresses behind it in turn, RATE times a second, in a batch every 50 ms, as
 * the daemon does: finer steps would cost more wake-ups. How many connections were accepted is kept in the first eight
 * bytes of the file COUNTER for whoever reads it; a failed connection ends the program. It runs until it is ended. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_MS = 50, EVENTS = 256 };
static const uint32_t FIRST = 0x7f010001; /* 127.1.0.1 */

static void die(const char *what) {
    fprintf(stderr, "connect_loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void start(int epoll, uint32_t address, uint16_t port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock < 0) die("socket");
    if (connect(sock, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) die("connect");
    struct epoll_event event = {.events = EPOLLOUT, .data.fd = sock};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, sock, &event) != 0) die("epoll_ctl");
}

static void finish(int sock) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &size) != 0) die("getsockopt");
    if (error != 0) { errno = error; die("connection"); }
    close(sock);
}

int main(int argc, char **argv) {
    if (argc != 5) { fprintf(stderr, "usage: connect_loop PORT TARGETS RATE COUNTER\n"); return 2; }
    uint16_t port = (uint16_t)atoi(argv[1]);
    uint32_t targets = (uint32_t)atoi(argv[2]);
    double rate = atof(argv[3]);
    int file = open(argv[4], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (targets == 0 || rate <= 0 || file < 0 || ftruncate(file, sizeof(uint64_t)) != 0) die("arguments");
    volatile uint64_t *done = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (done == MAP_FAILED || epoll < 0) die("start");

    struct epoll_event ready[EVENTS];
    int64_t began = now_us(), next = began;
    for (uint64_t started = 0;;) {
        int64_t now = now_us();
        if (now >= next) {
            uint64_t due = (uint64_t)((double)(now - began) / 1e6 * rate);
            for (; started < due; started++) start(epoll, FIRST + (uint32_t)(started % targets), port);
            next += (now - next) / (BATCH_MS * 1000) * (BATCH_MS * 1000) + BATCH_MS * 1000;
        }
        int64_t left_ms = (next - now_us() + 999) / 1000;
        int found = epoll_wait(epoll, ready, EVENTS, left_ms > 0 ? (int)left_ms : 0);
        if (found < 0 && errno != EINTR) die("epoll_wait");
        for (int n = 0; n < found; n++) finish(ready[n].data.fd);
        if (found > 0) *done += (uint64_t)found;
    }
}
