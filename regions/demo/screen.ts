import { stripVTControlCharacters } from "node:util";
import { type DemoView, describeInOneLine, describeInTable } from "./demo-view.ts";

/** What the screen writes to: a terminal, a file, a pipe. */
export interface ScreenOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly write: (text: string) => unknown;
}

/**
 * Shows how things stand: on a terminal a block that is drawn anew in place, elsewhere a line every two seconds.
 * Lines said meanwhile stand above the block and stay.
 */
export class Screen {
  readonly #output: ScreenOutput;
  readonly #color: boolean;
  #block: readonly string[] = [];
  #drawn = 0;
  #nextLineMs = 0;

  constructor(output: ScreenOutput, options: { readonly color: boolean }) {
    this.#output = output;
    this.#color = options.color;
  }

  /** A line that stays. */
  say(line: string): void {
    this.#erase();
    this.#output.write(`${line}\n`);
    this.#draw();
  }

  show(view: DemoView): void {
    if (this.#output.isTTY === true) {
      this.#block = describeInTable(view, { color: this.#color });
      this.#erase();
      this.#draw();
    } else if (view.elapsedMs >= this.#nextLineMs) {
      this.#nextLineMs = view.elapsedMs + LINE_EVERY_MS;
      this.#output.write(`${describeInOneLine(view)}\n`);
    }
  }

  /** Leaves the last block standing; what is said from now on comes below it. */
  end(): void {
    this.#block = [];
    this.#drawn = 0;
  }

  #draw(): void {
    if (this.#block.length === 0) return;
    // Some terminals do not know their width and say 0.
    const { columns = 0 } = this.#output;
    const width = columns > 0 ? columns - 1 : 119;
    this.#output.write(`${this.#block.map((line) => fit(line, width)).join("\n")}\n`);
    this.#drawn = this.#block.length;
  }

  #erase(): void {
    if (this.#drawn > 0) this.#output.write(`\u001B[${this.#drawn}A\u001B[0J`);
    this.#drawn = 0;
  }
}

const LINE_EVERY_MS = 2_000;

// A line that wraps would be two to the terminal and one to us.
function fit(line: string, width: number): string {
  const plain = stripVTControlCharacters(line);
  return plain.length <= width ? line : plain.slice(0, width);
}
