import { EVENT_LIMITS, isId, isItemId } from "../../protocols/feedback.ts";

/** A click as a data set has it. */
export interface Click {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly user: string;
  readonly item: string;
  /** What is known of the moment: device, country and the like. */
  readonly context: Readonly<Record<string, string>>;
}

/** Why a row cannot be used as a click, or undefined. */
export function problemOf(row: Click): string | undefined {
  const isUser: boolean = isId(row.user);
  const isItem: boolean = isItemId(row.item);
  if (!isUser) return `user ${JSON.stringify(row.user.slice(0, 40))} is not 1 to 128 characters`;
  if (!isItem) return `item ${JSON.stringify(row.item.slice(0, 40))} is not 1 to 46 bytes`;
  if (!(row.time >= TIME_MIN && row.time < TIME_MAX)) {
    return Number.isNaN(row.time)
      ? "its time is no number"
      : `its time ${row.time} ms is not between the years 1990 and 2100`;
  }
  for (const [name, text] of Object.entries(row.context)) {
    if (text.length > EVENT_LIMITS.valueCharsMax) {
      return `its ${name} is longer than ${EVENT_LIMITS.valueCharsMax} characters`;
    }
  }
  return undefined;
}

const TIME_MIN = Date.UTC(1990, 0);
const TIME_MAX = Date.UTC(2100, 0);
