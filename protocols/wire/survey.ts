/*
 * What the primary of a shard asks its members, and what they say, in JSON, with the checks.
 */
import { EPOCH_MAX, SYNC_LIMITS, T_MAX } from "../limits.ts";
import { type Horizon, type Known } from "../sync/horizon.ts";
import { knowledgeToJson, parseKnowledge } from "../sync/knowledge.ts";
import { type Report } from "../sync/settling.ts";
import { isTime, isWriterId, type WriterId } from "../sync/version.ts";
import { DecodeError } from "./decode-error.ts";
import { isCount, record } from "./json-fields.ts";

/** Names one round of questions. `asker` is the start of the primary that asks. */
export interface SurveyRound {
  readonly asker: WriterId;
  readonly round: number;
}

/** "Where do you stand?" A primary that pulls from nobody says what it knows itself. */
export interface SurveyMessage extends SurveyRound {
  readonly settled?: number;
  readonly epoch?: number;
  readonly knowledge?: readonly (readonly [WriterId, number])[];
}

/** "Here", to that survey. */
export interface ReportMessage extends SurveyRound {
  readonly writer: WriterId;
  readonly knowledge: readonly (readonly [WriterId, number])[];
  readonly upTo: number;
  readonly strays: number;
  readonly settled: number;
  /** Of the horizon; 0 when absent. */
  readonly epoch?: number;
  readonly before: number;
  readonly graveyard: readonly (readonly [WriterId, number])[];
  /** Pairs of a table's index and a t. */
  readonly expired: readonly (readonly [number, number])[];
}

export function buildSurvey(round: SurveyRound, primary: Known | undefined): SurveyMessage {
  if (primary === undefined) return round;
  const { epoch, settled, knowledge } = primary;
  return { ...round, settled, ...(epoch > 0 && { epoch }), knowledge: knowledgeToJson(knowledge) };
}

export function buildReport(survey: SurveyRound, { writer, knowledge, upTo, strays, horizon }: Report): ReportMessage {
  const { epoch, settled, before, graveyard, expired } = horizon;
  return {
    ...survey,
    writer,
    knowledge: knowledgeToJson(knowledge),
    upTo,
    strays,
    settled,
    ...(epoch > 0 && { epoch }),
    before,
    graveyard: knowledgeToJson(graveyard),
    expired: [...expired],
  };
}

/** Throws `DecodeError`, as `parseReport` does. */
export function parseSurvey(value: unknown): SurveyRound & { readonly primary?: Known } {
  const fields = record("survey", value);
  const round = surveyOf("survey", fields);
  const { settled, knowledge } = fields;
  if (settled === undefined && knowledge === undefined) return round;
  const known = { epoch: epochIn("survey", fields), settled: timeOf("survey", settled) };
  return { ...round, primary: { ...known, knowledge: parseKnowledge(knowledge) } };
}

export function parseReport(value: unknown): SurveyRound & Report {
  const fields = record("report", value);
  const writer = fields["writer"];
  if (!isWriterId(writer)) throw new DecodeError("report", "its writer is malformed");
  const { strays } = fields;
  if (!isCount(strays)) throw new DecodeError("report", "its strays are not a whole number");
  return {
    ...surveyOf("report", fields),
    writer,
    knowledge: parseKnowledge(fields["knowledge"]),
    upTo: timeOf("report", fields["upTo"]),
    strays,
    horizon: horizonOf(fields),
  };
}

/** The epoch of what is settled: absent for the first. */
export function epochIn(what: string, { epoch }: Readonly<Record<string, unknown>>): number {
  if (epoch === undefined) return 0;
  if (isCount(epoch, 1) && epoch <= EPOCH_MAX) return epoch;
  throw new DecodeError(what, `its epoch is not a whole number from 1 to ${EPOCH_MAX}`);
}

/** A t, or 0 for none. */
export function timeOf(what: string, value: unknown): number {
  if (value === 0 || isTime(value)) return value;
  throw new DecodeError(what, "one of its times is none");
}

function surveyOf(what: string, fields: Readonly<Record<string, unknown>>): SurveyRound {
  const { asker, round } = fields;
  if (!isWriterId(asker)) throw new DecodeError(what, "its asker is malformed");
  if (!isCount(round, 1)) {
    throw new DecodeError(what, "its round is not a whole number from 1");
  }
  return { asker, round };
}

function horizonOf(fields: Readonly<Record<string, unknown>>): Horizon {
  const settled = timeOf("report", fields["settled"]);
  const before = timeOf("report", fields["before"]);
  const graveyard = parseKnowledge(fields["graveyard"]);
  if (before > settled || [...graveyard.values()].some((t) => t <= before || t > settled)) {
    throw new DecodeError("report", "its horizon's times are not in order");
  }
  const pairs = fields["expired"];
  if (!Array.isArray(pairs) || pairs.length > SYNC_LIMITS.tablesMax) {
    throw new DecodeError("report", "expired is not a list of tables");
  }
  const expired = new Map<number, number>();
  for (const pair of pairs) {
    const entry: readonly unknown[] = Array.isArray(pair) ? pair : [];
    const [table, t] = entry;
    if (entry.length !== 2 || !isCount(table) || table >= SYNC_LIMITS.tablesMax || expired.has(table)) {
      throw new DecodeError("report", "a table that expired is no index, or stands twice");
    }
    if (!isTime(t)) throw new DecodeError("report", `the expiry of table ${table} is not a time up to ${T_MAX}`);
    expired.set(table, t);
  }
  return { epoch: epochIn("report", fields), settled, before, graveyard, expired };
}
