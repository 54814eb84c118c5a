import { type Arguments } from "./arguments.ts";
import { type Command, type Terminal, WrongUsage } from "./command.ts";
import { stopSignal } from "./stop-signal.ts";

/** `freshet setup tensorflow`. */
export const setupTensorflow: Command = {
  name: "setup tensorflow",
  summary: 'Set up TensorFlow, for models with "compute": "tensorflow"',
  operands: "",
  operandsMin: 0,
  operandsMax: 0,
  description: [
    "Gets @tensorflow/tfjs-node-gpu and TensorFlow's library (1.1 GB on disk, and 3 GB while it is set up), compares what it computes with the",
    "reference, and says which device it uses. First by the package's own install; where its download host is out of reach, with pip and a C++ compiler.",
    "It goes into a folder of its own, and nothing else changes: FRESHET_TENSORFLOW, else freshet/tensorflow in XDG_DATA_HOME",
    "(~/.local/share). Called again, it only proves what is there; with --gpu or --cpu it replaces what was set up otherwise.",
  ].join("\n"),
  options: [
    { name: "check", about: "Only say what is there and which device it uses; exit code 1 when it cannot be used" },
    { name: "remove", about: "Remove what was set up" },
    { name: "gpu", about: "Get support for NVIDIA GPUs, also where none is seen (CUDA's own libraries must be there)" },
    { name: "cpu", about: "Get none, also where one is seen" },
  ],
  examples: [
    ["npx freshet setup tensorflow", "once a machine"],
    ["npx freshet setup tensorflow --check", "CPU or GPU?"],
  ],
  run: async (args, terminal) => {
    if (args.given.length > 1) {
      throw new WrongUsage("setup tensorflow", `--${args.given.join(" and --")} do not go together`);
    }
    const { tensorflowHome } = await import("../../runtime/compute/tensorflow/home.ts");
    const home = tensorflowHome(terminal.env);
    using stop = stopSignal();
    return args.flag("remove")
      ? await remove(home, terminal)
      : await setUp(args, { home, terminal, signal: stop.signal });
  },
};

async function setUp(
  args: Arguments,
  to: { readonly home: string; readonly terminal: Terminal; readonly signal: AbortSignal },
): Promise<number> {
  const { home, terminal, signal } = to;
  const { proveTensorflow, setUpTensorflow } = await import("../../runtime/compute/tensorflow/setup.ts");
  const proven = args.flag("check")
    ? await proveTensorflow(home, { signal })
    : await setUpTensorflow({
        home,
        env: terminal.env,
        signal,
        say: (line) => terminal.err.write(`tensorflow: ${line}\n`),
        ...(args.flag("gpu") && { gpu: true }),
        ...(args.flag("cpu") && { gpu: false }),
      });
  const { version, packageVersion, device } = proven;
  terminal.out.write(
    `TensorFlow ${version} (tfjs-node-gpu ${packageVersion}) computes on the ${device}, and right. It is in ${home}\n`,
  );
  return 0;
}

async function remove(home: string, terminal: Terminal): Promise<number> {
  const { removeTensorflow } = await import("../../runtime/compute/tensorflow/setup.ts");
  const was = await removeTensorflow(home);
  terminal.out.write(was ? `Removed ${home}\n` : `There is nothing to remove: ${home} does not exist\n`);
  return 0;
}
