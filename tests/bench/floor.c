/* The floor of `run.py bench media`: what forwarding calls costs when nothing is done but UDP and SRTP.
 *
 * One thread, one epoll, one socket a leg. A packet of one leg is opened, sealed with the other leg's key and sent to
 * where the other was last heard. No ICE, no DTLS, no feedback, no rewriting: so a server that does all that is held
 * against what no server can go below.
 *
 *     floor ADDRESS LEGS KEY      KEY: 28 bytes in hex, master key and salt of AES-128-GCM, the same for every leg
 *
 * Legs 2n and 2n + 1 are one call. It prints the legs' ports, a line each, and runs until it is killed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 2048
#define EVENTS 64
#define KEY_BYTES 28

struct leg {
    int fd;
    struct sockaddr_in peer;
    srtp_t in, out;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static srtp_t session(unsigned char *key, srtp_ssrc_type_t whose)
{
    srtp_policy_t policy;
    srtp_t made;
    memset(&policy, 0, sizeof policy);
    srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
    srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    policy.ssrc.type = whose;
    policy.key = key;
    policy.window_size = 1024;
    policy.allow_repeat_tx = 1;
    if (srtp_create(&made, &policy) != srtp_err_status_ok)
        fail("srtp_create");
    return made;
}

static void forward(struct leg *from, struct leg *to)
{
    unsigned char packet[MOST];
    socklen_t length = sizeof from->peer;
    int size = recvfrom(from->fd, packet, MOST - 64, 0, (struct sockaddr *)&from->peer, &length);
    if (size < 12)
        return;
    int is_rtcp = packet[1] >= 192 && packet[1] <= 223;
    if ((is_rtcp ? srtp_unprotect_rtcp : srtp_unprotect)(from->in, packet, &size) != srtp_err_status_ok)
        return;
    if (to->peer.sin_port == 0)
        return;
    if ((is_rtcp ? srtp_protect_rtcp : srtp_protect)(to->out, packet, &size) != srtp_err_status_ok)
        return;
    sendto(to->fd, packet, size, 0, (struct sockaddr *)&to->peer, sizeof to->peer);
}

int main(int count, char **given)
{
    unsigned char key[KEY_BYTES];
    if (count != 4 || strlen(given[3]) != 2 * KEY_BYTES) {
        fprintf(stderr, "floor ADDRESS LEGS KEY\n");
        return 2;
    }
    for (int n = 0; n < KEY_BYTES; n++)
        sscanf(given[3] + 2 * n, "%2hhx", &key[n]);
    int legs = atoi(given[2]), poll = epoll_create1(0), buffer = 512 * 1024;
    struct leg *all = calloc(legs, sizeof *all);
    srtp_init();
    for (int n = 0; n < legs; n++) {
        struct sockaddr_in here = {.sin_family = AF_INET};
        socklen_t length = sizeof here;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = n};
        inet_pton(AF_INET, given[1], &here.sin_addr);
        all[n].fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (all[n].fd < 0 || bind(all[n].fd, (struct sockaddr *)&here, length) || epoll_ctl(poll, EPOLL_CTL_ADD, all[n].fd, &event))
            fail("a leg's socket");
        setsockopt(all[n].fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        getsockname(all[n].fd, (struct sockaddr *)&here, &length);
        all[n].in = session(key, ssrc_any_inbound);
        all[n].out = session(key, ssrc_any_outbound);
        printf("%d\n", ntohs(here.sin_port));
    }
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int n = 0; n < ready; n++)
            forward(&all[events[n].data.u32], &all[events[n].data.u32 ^ 1]);
    }
}
