// Dense arithmetic over flat rows of 32-bit floats. Addresses are in bytes, all else is counted in floats; no address need be aligned.
export { spreadRows, sumRows } from "./kernels/pool";
export { runBackward, runSteps } from "./kernels/steps";
export { encodeRow, scanCodes, scoreNoted } from "./kernels/top-rows";
