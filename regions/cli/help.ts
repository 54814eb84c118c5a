import { styleText } from "node:util";
import { COMMON_OPTIONS } from "./arguments.ts";
import { type Command, type Option, type Terminal } from "./command.ts";

/** What `freshet` is and which commands it has. */
export function overviewHelp(commands: readonly Command[], terminal: Terminal): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    "freshet: a recommender that learns from a click and serves what it learned, seconds later, in every region",
    "",
    heading("Usage", terminal),
    "  freshet COMMAND [OPTIONS]",
    "",
    heading("Commands", terminal),
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    `  ${"help".padEnd(width)}  Show the help of a command`,
    "",
    heading("Options", terminal),
    "  -h, --help     Show this help, or that of a command",
    "  -V, --version  Show the version",
    "",
    heading("Environment", terminal),
    "  FRESHET_NATS_SERVER  The nats-server to run instead of one from PATH",
    "  FRESHET_TENSORFLOW   The folder of `setup tensorflow`",
    "  FRESHET_TOKEN        Bearer token that `status` and `member` send",
    "  FRESHET_DEBUG=1      Show where in the code an error arose",
    "  XDG_STATE_HOME       Where state goes that outlives a restart",
    "  NO_COLOR=1           No colours",
    "",
  ].join("\n");
}

/** The help of one command. */
export function commandHelp(command: Command, terminal: Terminal): string {
  const options = [...command.options, ...COMMON_OPTIONS];
  const usage = ["freshet", command.name, "[OPTIONS]", command.operands].filter((part) => part !== "").join(" ");
  const left = options.map(optionHead);
  const width = Math.max(...left.map((head) => head.length));
  const exampleWidth = Math.max(0, ...command.examples.map(([example]) => example.length));
  return [
    heading("Usage", terminal),
    `  ${usage}`,
    "",
    command.description,
    "",
    heading("Options", terminal),
    ...options.map((option, index) => {
      const end = option.default === undefined ? "" : ` (default: ${option.default})`;
      return `  ${(left[index] ?? "").padEnd(width)}  ${option.about}${end}`;
    }),
    "",
    ...(command.examples.length === 0
      ? []
      : [
          heading("Examples", terminal),
          ...command.examples.map(([example, about]) => `  ${example.padEnd(exampleWidth)}  # ${about}`),
          "",
        ]),
  ].join("\n");
}

function optionHead(option: Option): string {
  const short = option.short === undefined ? "    " : `-${option.short}, `;
  return `${short}--${option.name}${option.value === undefined ? "" : ` ${option.value}`}`;
}

function heading(text: string, terminal: Terminal): string {
  return styleText("bold", text, { stream: terminal.out });
}
