/*
 * commands -- what each command runs; the table with their options is commands_sys.c.
 */
#ifndef PREON_TOOLS_COMMANDS_H
#define PREON_TOOLS_COMMANDS_H

#include "tools/command.h"

/* servers_sys.c */
enum exit_code command_tracker(struct context *c);
enum exit_code command_peer(struct context *c);

/* job_create_sys.c */
enum exit_code command_create_nonce(struct context *c);
enum exit_code command_create_mandelbrot(struct context *c);
enum exit_code command_create_exec(struct context *c);

/* job_submit_sys.c */
enum exit_code command_submit(struct context *c);

/* job_list_sys.c */
enum exit_code command_list(struct context *c);
enum exit_code command_job_status(struct context *c);
enum exit_code command_log(struct context *c);

/* job_watch_sys.c */
enum exit_code command_follow(struct context *c);
enum exit_code command_wait(struct context *c);

/* job_results_sys.c */
enum exit_code command_results(struct context *c);

/* job_order_sys.c */
enum exit_code command_cancel(struct context *c);
enum exit_code command_resume(struct context *c);
enum exit_code command_rm(struct context *c);

/* machine_sys.c */
enum exit_code command_status(struct context *c);
enum exit_code command_key(struct context *c);
enum exit_code command_version(bool json);

/* doctor_sys.c */
enum exit_code command_doctor(struct context *c);

/* nonce_sys.c */
enum exit_code command_nonce_verify(struct context *c);
enum exit_code command_bench_nonce(struct context *c);

#endif
