// Goal: TensorFlow computes what programs mean and leaves none of its memory taken. Method: the laws of every backend, where it is set up.
import fc from "fast-check";
import { expect, test } from "vitest";
import { tensorflowBackend } from "../runtime/compute/tensorflow/backend.ts";
import { tensorflowHome } from "../runtime/compute/tensorflow/home.ts";
import { isSetUp, loadTensorflow, type Tensorflow } from "../runtime/compute/tensorflow/load.ts";
import { backendLaws } from "./backend-laws.ts";
import { drawBatch, drawnPrograms, fill } from "./drawn-program.ts";

const home = tensorflowHome(process.env);

if (isSetUp(home)) {
  tensorflowLaws(loadTensorflow(home));
} else {
  process.stderr.write(
    `TensorFlow is not set up in ${home}, so nothing is compared with it: npx freshet setup tensorflow\n`,
  );
}

test.runIf(isSetUp(home))("TensorFlow is set up, and was compared", () => {
  expect(isSetUp(home)).toBe(true);
});

function tensorflowLaws(tensorflow: Tensorflow): void {
  const { tf } = tensorflow;
  const backend = tensorflowBackend(tensorflow);
  backendLaws(backend, { runs: 40 });

  test("tensorflow: batch after batch takes no more memory, and disposal gives all of it back", () => {
    fc.assert(
      fc.property(drawnPrograms, fc.integer({ min: 1, max: 9 }), fc.integer(), (program, size, seed) => {
        const before = tf.memory().numTensors;
        const taken = new Set<number>();
        const compiled = backend.compile(program, { batchMax: size });
        fill(compiled, drawBatch(program, { size, seed }));
        for (let round = 0; round < 3; round += 1) {
          compiled.forward(size);
          compiled.backward();
          taken.add(tf.memory().numTensors);
        }
        expect(taken.size).toBe(1);
        compiled[Symbol.dispose]();
        expect(tf.memory().numTensors).toBe(before);
      }),
      { numRuns: 20 },
    );
  });
}
