// SPDX-License-Identifier: Apache-2.0
/*
 * doctor.h - `mote doctor`: what this host offers a guest, and what it lacks
 */
#ifndef MOTE_VMM_DOCTOR_H
#define MOTE_VMM_DOCTOR_H

struct host;
struct report;

/* `mote doctor`; ARGV[0] is "doctor".  Returns the exit status: 0 when a stock
 * Linux guest can run here, 1 when it cannot, 125 for bad arguments or when the
 * report could not be written.
 */
int doctor_main(int argc, char **argv);

/* Fills REPORT from the facts; touches nothing else. */
void doctor_judge(const struct host *host, struct report *report);

#endif
