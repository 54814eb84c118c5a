/** A line that was left out, and why. */
export interface BrokenLine {
  readonly file: string;
  readonly line: number;
  readonly why: string;
}

/** What was read so far; the reader keeps it up to date while it reads. */
export interface DataReport {
  /** Rows read, broken ones not counted. */
  rows: number;
  /** Rows that are no click: a rating below 4. */
  notClicks: number;
  /** Lines left out because they are not what the format says. */
  broken: number;
  /** The first of them. */
  readonly firstBroken: BrokenLine[];
  /** Clicks left out because they were found long after later ones had been given out. */
  late: number;
  bytesRead: number;
  bytesTotal: number;
  /** How much of the data has been given out, 0 to 1. */
  done: number;
}

/** A report of nothing read yet. */
export function emptyReport(): DataReport {
  return { rows: 0, notClicks: 0, broken: 0, firstBroken: [], late: 0, bytesRead: 0, bytesTotal: 0, done: 0 };
}

/** Counts a broken line and keeps it if it is one of the first. */
export function noteBroken(report: DataReport, broken: BrokenLine): void {
  report.broken += 1;
  if (report.firstBroken.length < FIRST_BROKEN_MAX) report.firstBroken.push(broken);
}

/** One line a person can act on. */
export function describeBroken(broken: BrokenLine): string {
  return `${broken.file}:${broken.line}: ${broken.why}`;
}

const FIRST_BROKEN_MAX = 5;
