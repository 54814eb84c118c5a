import { type Logger } from "./actor.ts";

/** From the most talkative to none at all. */
export type LogLevel = "debug" | "info" | "warn" | "error";
const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** One line, as data: what crosses threads and what is written. */
export interface LogLine {
  readonly atMs: number;
  readonly level: LogLevel;
  /** Who says so: `frankfurt/shards/shard.0`. */
  readonly source: string;
  readonly text: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Takes finished lines. Never throws. */
export type LogSink = (line: LogLine) => void;

export interface LoggerOptions {
  readonly source: string;
  readonly nowMs: () => number;
  /** Default: info. */
  readonly level?: LogLevel;
}

/** Lines of one text per second and source; the rest are counted and told with the next. Errors too: a loop must not fill a disk. */
const LINES_PER_SECOND_MAX = 20;
const TEXTS_MAX = 500;

/** A logger that writes to `sink` what its level and rate let through. Fields must be data. */
export function createLogger(sink: LogSink, { source, nowMs, level = "info" }: LoggerOptions): Logger {
  const counts = new Map<string, { second: number; lines: number; dropped: number }>();
  const least = LEVELS.indexOf(level);

  function write(at: LogLevel, text: string, fields: Readonly<Record<string, unknown>> | undefined): void {
    if (LEVELS.indexOf(at) < least) return;
    const atMs = nowMs();
    const second = Math.floor(atMs / 1000);
    let count = counts.get(text);
    if (count === undefined) {
      // Texts are constants; whoever builds them from data gets no memory out of us.
      if (counts.size >= TEXTS_MAX) counts.clear();
      counts.set(text, (count = { second, lines: 0, dropped: 0 }));
    }
    if (count.second !== second) {
      count.second = second;
      count.lines = 0;
    }
    if (++count.lines > LINES_PER_SECOND_MAX) {
      count.dropped++;
      return;
    }
    const { dropped } = count;
    count.dropped = 0;
    const all = dropped === 0 ? fields : { ...fields, notLogged: dropped };
    sink({ atMs, level: at, source, text, ...(all === undefined ? {} : { fields: plain(all) }) });
  }
  return {
    debug: (text, fields) => write("debug", text, fields),
    info: (text, fields) => write("info", text, fields),
    warn: (text, fields) => write("warn", text, fields),
    error: (text, fields) => write("error", text, fields),
  };
}

/** One JSON object a line: time, level, source, text and the fields beside them, which can be none of these four. */
export function jsonLine({ atMs, level, source, text, fields }: LogLine): string {
  const own = { time: new Date(atMs).toISOString(), level, source, text };
  // First for the order, last so that no field takes their place.
  return JSON.stringify({ ...own, ...fields, ...own });
}

/** For people: time, level, source, text and the fields as name=value. */
export function readableLine(line: LogLine): string {
  const fields = Object.entries(line.fields ?? {}).map(
    ([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return `${new Date(line.atMs).toISOString().slice(11, 23)} ${line.level.padEnd(5)} ${line.source}  ${line.text}${fields.join("")}`;
}

/** Writes lines to standard error. */
export function stderrSink(format: "json" | "readable"): LogSink {
  const render = format === "json" ? jsonLine : readableLine;
  return (line) => void process.stderr.write(`${render(line)}\n`);
}

/** Only what survives a clone and a JSON text, each value cut to a bounded length. */
function plain(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plainValue(value)]));
}

const VALUE_CHARS_MAX = 2000;

function plainValue(value: unknown): unknown {
  switch (typeof value) {
    case "string":
      return value.slice(0, VALUE_CHARS_MAX);
    case "number":
    case "boolean":
    case "undefined":
      return value;
    case "bigint":
    case "symbol":
    case "function":
      return String(value).slice(0, VALUE_CHARS_MAX);
    case "object":
      if (value instanceof Error) return errorText(value);
      try {
        return JSON.stringify(value).slice(0, VALUE_CHARS_MAX);
      } catch {
        return "[not data]"; // a cycle, or a toJSON that throws
      }
  }
}

/** Name and message of an error and of what caused it. */
function errorText(error: Error): string {
  const causes: string[] = [];
  for (let at: unknown = error; at instanceof Error && causes.length < 5; at = at.cause) {
    causes.push(`${at.name}: ${at.message}`);
  }
  return causes.join("; caused by ").slice(0, VALUE_CHARS_MAX);
}
