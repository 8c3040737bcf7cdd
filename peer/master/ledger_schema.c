#include "peer/master/ledger_schema.h"

/*
 * Integers and raw bytes only, keyed by (job_no, slice): a restart reads a million finals in order,
 * and rows exist for touched slices only. What can be long (tails, outputs) has tables of its own,
 * so that the rows that a restart reads stay short and near each other. `open_slices` names the
 * slices with votes that are not final: without it a restart would have to look at every vote.
 */
const char ledger_schema_tables[] =
    "CREATE TABLE jobs ("
    " job_no INTEGER PRIMARY KEY,"
    " job BLOB NOT NULL,"
    " run BLOB NOT NULL,"
    " name TEXT NOT NULL,"
    " slices INTEGER NOT NULL,"
    " grant_bytes BLOB NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " answer_slice INTEGER NOT NULL DEFAULT 0,"
    " reason TEXT NOT NULL DEFAULT '',"
    " state_ms INTEGER NOT NULL,"
    " removed INTEGER NOT NULL DEFAULT 0,"
    " slots_max INTEGER NOT NULL DEFAULT 0," /* since 2 */
    " ran_ms INTEGER NOT NULL DEFAULT 0);"   /* since 2 */
    /* A removed run may be added again while its old rows are still being deleted. */
    "CREATE UNIQUE INDEX jobs_by_id ON jobs (job, run) WHERE removed = 0;"

    "CREATE TABLE workers ("
    " worker_no INTEGER PRIMARY KEY,"
    " peer BLOB NOT NULL UNIQUE,"
    " public_key BLOB);" /* unknown until it votes */

    "CREATE TABLE finals ("
    " job_no INTEGER NOT NULL,"
    " slice INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " class INTEGER NOT NULL,"
    " code INTEGER NOT NULL,"
    " basis INTEGER NOT NULL,"
    " answer INTEGER NOT NULL,"
    " serial INTEGER NOT NULL,"
    " term INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL,"
    " outputs BLOB NOT NULL,"
    " PRIMARY KEY (job_no, slice)) WITHOUT ROWID;"

    "CREATE TABLE open_slices ("
    " job_no INTEGER NOT NULL,"
    " slice INTEGER NOT NULL,"
    " PRIMARY KEY (job_no, slice)) WITHOUT ROWID;"

    "CREATE TABLE votes ("
    " job_no INTEGER NOT NULL,"
    " slice INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " worker_no INTEGER NOT NULL,"
    " own INTEGER NOT NULL,"
    " class INTEGER NOT NULL,"
    " code INTEGER NOT NULL,"
    " outputs BLOB NOT NULL,"
    " signature BLOB NOT NULL,"
    " wall_ms INTEGER NOT NULL,"
    " cpu_ms INTEGER NOT NULL,"
    " prefix INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL,"
    " PRIMARY KEY (job_no, slice, attempt)) WITHOUT ROWID;"

    "CREATE TABLE tails ("
    " job_no INTEGER NOT NULL,"
    " slice INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " stdout_tail BLOB NOT NULL,"
    " stderr_tail BLOB NOT NULL,"
    " UNIQUE (job_no, slice, attempt));"

    "CREATE TABLE outputs ("
    " job_no INTEGER NOT NULL,"
    " slice INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " output INTEGER NOT NULL,"
    " size INTEGER NOT NULL,"
    " root BLOB NOT NULL,"
    " bytes BLOB," /* NULL: in a file of the store */
    " UNIQUE (job_no, slice, attempt, output));"

    "CREATE TABLE lies ("
    " job_no INTEGER NOT NULL,"
    " worker_no INTEGER NOT NULL,"
    " slice INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " reason TEXT NOT NULL,"
    " at_ms INTEGER NOT NULL,"
    " PRIMARY KEY (job_no, worker_no, slice, attempt)) WITHOUT ROWID;";

const char *const ledger_schema_steps[LEDGER_SCHEMA_VERSION] = {
    [1] = "ALTER TABLE jobs ADD COLUMN slots_max INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE jobs ADD COLUMN ran_ms INTEGER NOT NULL DEFAULT 0;",
};

/* The words are those of outcome.h and record.h. */
const char ledger_schema_views[] =
    "CREATE VIEW v_jobs AS SELECT"
    " lower(hex(j.job)) AS job, lower(hex(j.run)) AS run, j.name, j.slices,"
    " (SELECT count(*) FROM finals f WHERE f.job_no = j.job_no) AS final,"
    " (SELECT count(*) FROM open_slices o WHERE o.job_no = j.job_no) AS voting,"
    " CASE j.state WHEN 1 THEN 'running' WHEN 2 THEN 'done' WHEN 3 THEN 'found'"
    "  WHEN 4 THEN 'none' WHEN 5 THEN 'failed' WHEN 6 THEN 'cancelled' WHEN 7 THEN 'timed out'"
    "  WHEN 8 THEN 'stopped' ELSE j.state END AS state,"
    " CASE j.state WHEN 3 THEN j.answer_slice END AS answer_slice, j.reason,"
    " datetime(j.created_ms / 1000, 'unixepoch') AS created,"
    " datetime(j.state_ms / 1000, 'unixepoch') AS since"
    " FROM jobs j WHERE j.removed = 0;"

    "CREATE VIEW v_slices AS SELECT"
    " lower(hex(j.job)) AS job, lower(hex(j.run)) AS run, s.slice, s.state, s.attempt, s.class,"
    " s.code, s.basis, s.answer, s.outputs, s.at,"
    " (SELECT count(*) FROM votes v WHERE v.job_no = s.job_no AND v.slice = s.slice) AS votes"
    " FROM (SELECT job_no, slice, 'final' AS state, attempt,"
    "  CASE class WHEN 0 THEN 'exit' WHEN 1 THEN 'signal' WHEN 2 THEN 'time' WHEN 3 THEN 'memory'"
    "   WHEN 4 THEN 'output' WHEN 5 THEN 'no start' ELSE class END AS class, code,"
    "  CASE basis WHEN 1 THEN 'quorum' WHEN 2 THEN 'proof' WHEN 3 THEN 'own run'"
    "   WHEN 4 THEN 'given up' ELSE basis END AS basis, answer, lower(hex(outputs)) AS outputs,"
    "  datetime(at_ms / 1000, 'unixepoch') AS at FROM finals"
    "  UNION ALL SELECT job_no, slice, 'voting', NULL, NULL, NULL, NULL, NULL, NULL, NULL"
    "  FROM open_slices) s"
    " JOIN jobs j ON j.job_no = s.job_no AND j.removed = 0;"

    "CREATE VIEW v_votes AS SELECT"
    " lower(hex(j.job)) AS job, lower(hex(j.run)) AS run, v.slice, v.attempt,"
    " lower(hex(w.peer)) AS worker, v.own,"
    " CASE v.class WHEN 0 THEN 'exit' WHEN 1 THEN 'signal' WHEN 2 THEN 'time' WHEN 3 THEN 'memory'"
    "  WHEN 4 THEN 'output' WHEN 5 THEN 'no start' ELSE v.class END AS class, v.code,"
    " lower(hex(v.outputs)) AS outputs, v.outputs = f.outputs AS accepted, v.wall_ms, v.cpu_ms,"
    " v.prefix, datetime(v.at_ms / 1000, 'unixepoch') AS at"
    " FROM votes v JOIN jobs j ON j.job_no = v.job_no AND j.removed = 0"
    " JOIN workers w ON w.worker_no = v.worker_no"
    " LEFT JOIN finals f ON f.job_no = v.job_no AND f.slice = v.slice;"

    "CREATE VIEW v_workers AS SELECT"
    " lower(hex(w.peer)) AS worker, count(v.slice) AS votes,"
    " coalesce(sum(v.outputs = f.outputs), 0) AS accepted,"
    " coalesce(sum(CASE WHEN v.outputs = f.outputs THEN v.cpu_ms END), 0) / 1000.0 AS cpu_s,"
    " (SELECT count(*) FROM lies l WHERE l.worker_no = w.worker_no) AS lies,"
    " datetime(max(v.at_ms) / 1000, 'unixepoch') AS last_vote"
    " FROM workers w LEFT JOIN votes v ON v.worker_no = w.worker_no"
    " LEFT JOIN finals f ON f.job_no = v.job_no AND f.slice = v.slice"
    " GROUP BY w.worker_no;";
