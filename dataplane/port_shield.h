/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port on a Linux interface by AF_PACKET gets a copy of each frame: the kernel's own stack gets the frame as well,
 * and by the weak host model answers and forwards it past Culvert's policy whatever interface its addresses are on. The
 * shield drops the frames between the two: a chain of nf_tables on the device's ingress, which comes after packet
 * sockets and before every protocol. Main lcore; used by port_device.c only.
 */
#ifndef DATAPLANE_PORT_SHIELD_H
#define DATAPLANE_PORT_SHIELD_H

struct mnl_socket;

/* Shield the kernel's stack from the interface in a device string. Before the port is opened. NULL: there is nothing to
 * shield, or it cannot be done, which is logged; the port works without. The kernel takes the shield away when the
 * socket is closed, however the process ends; until then nobody else can. */
struct mnl_socket *port_shield_open(const char *devargs);
/* NULL is no shield. */
void port_shield_close(struct mnl_socket *shield);

#endif
