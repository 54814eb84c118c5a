import { registerHooks } from "node:module";
import { type Mutant } from "./mutant.ts";

/** Has the mutant's file loaded with the bug planted, from now on in this thread. */
export function plant({ name, file, edits }: Mutant): void {
  let found = false;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(`/${file}`)) return loaded;
      found = true;
      let source =
        typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source ?? undefined);
      for (const [find, replace] of edits) {
        const parts = source.split(find);
        if (parts.length !== 2) {
          throw new RangeError(
            `Cannot plant '${name}': its text stands ${parts.length - 1} times in ${file}, not once`,
          );
        }
        source = parts.join(replace);
      }
      return { ...loaded, source };
    },
  });
  process.once("exit", () => {
    if (!found) throw new RangeError(`Cannot plant '${name}': ${file} was never loaded`);
  });
}
