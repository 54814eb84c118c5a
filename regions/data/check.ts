import { openData } from "./open-data.ts";
import { NoUsableData, UnknownDataFormat, UnreadableDataFile } from "./data-errors.ts";
import { describeBroken } from "./data-report.ts";

/**
 * Reads a data folder whole and says what is in it. Gives the exit code: 0 when every line is usable, 1 when lines were
 * left out, 2 when the folder cannot be used.
 */
export async function checkData(folder: string, say: (line: string) => void): Promise<number> {
  const users = new Set<string>();
  const items = new Set<string>();
  let clicks = 0;
  let first = Number.NaN;
  let last = Number.NaN;
  try {
    const data = await openData(folder);
    for await (const batch of data.clicks()) {
      for (const click of batch) {
        users.add(click.user);
        items.add(click.item);
      }
      clicks += batch.length;
      if (Number.isNaN(first)) first = batch[0]?.time ?? first;
      last = batch.at(-1)?.time ?? last;
    }
    const { rows, notClicks, broken, late, firstBroken } = data.report;
    say(`${folder}: ${data.title}`);
    say(`  rows    ${rows}${notClicks > 0 ? `, ${notClicks} of them no clicks` : ""}`);
    say(`  clicks  ${clicks}, by ${users.size} users on ${items.size} items`);
    say(
      `  times   ${new Date(first).toISOString()} to ${new Date(last).toISOString()} (${((last - first) / 86_400_000).toFixed(1)} days)`,
    );
    say(
      `  broken  ${broken} lines left out${late > 0 ? `, and ${late} clicks that come too long after later ones` : ""}`,
    );
    for (const line of firstBroken) say(`          ${describeBroken(line)}`);
    if (broken > firstBroken.length) say(`          and ${broken - firstBroken.length} more`);
    return broken + late === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UnknownDataFormat || error instanceof UnreadableDataFile || error instanceof NoUsableData)) {
      throw error;
    }
    say(error.message);
    return 2;
  }
}
