/* SPDX-License-Identifier: BSD-3-Clause */
/* One DPDK device from probe to removal. Main lcore; used by port.c only. */
#ifndef DATAPLANE_PORT_DEVICE_H
#define DATAPLANE_PORT_DEVICE_H

#include "port.h"

/* Probe, configure with what the device reports it can do, start. *out is malloc'ed; give it to port_device_close, or
 * publish it. CV_OK or enum cv_err with text (128 bytes); on error nothing is left behind. */
int port_device_open(const struct cv_port *cfg, struct port **out, char *text);
/* Stop, close and remove the device, free the view. Nobody may use either any more. */
void port_device_close(struct port *view);
/* Layer-3 MTU; 0 = the usual 1500. Drivers that have no such call are left alone (CV_OK). */
int port_device_set_mtu(struct port *view, uint16_t mtu, char *text);

#endif
