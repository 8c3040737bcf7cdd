/*
 * ledger_schema -- the tables and views of the ledger, as SQL text. LEDGER.md explains them.
 */
#ifndef PREON_PEER_MASTER_LEDGER_SCHEMA_H
#define PREON_PEER_MASTER_LEDGER_SCHEMA_H

enum { LEDGER_SCHEMA_VERSION = 2 }; /* PRAGMA user_version of the file */

/* Makes everything in an empty file. */
extern const char ledger_schema_tables[];
extern const char ledger_schema_views[];

/* [v]: makes schema v + 1 of schema v, from 1 on. Written once and never changed. */
extern const char *const ledger_schema_steps[LEDGER_SCHEMA_VERSION];

#endif
