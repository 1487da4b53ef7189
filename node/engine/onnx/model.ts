/**
 * Lowers a graph to an ONNX model: bytes for the executor, plus the list of weight files it points into.
 */

import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Device } from '../device.ts';
import type { Precision } from '../executor.ts';
import {
  inTopologicalOrder,
  sameShape,
  weight,
  type Application,
  type Constant,
  type Value,
  type Weight,
  type WeightSource,
} from '../graph.ts';
import type { SliceAttributes } from '../operators/layout.ts';
import { simplify } from '../simplify.ts';
import type { WeightFile } from '../weightFolder.ts';
import type { Lowering, OnnxAttribute } from './lowering.ts';
import { ATTRIBUTE_TYPE, ELEMENT_TYPE, encodeModel, EXTERNAL_LOCATION, type OnnxElementType } from './schema.ts';

/** Opset 21 is the first with blockwise DequantizeLinear; it asks for file version 10. */
const OPSET = 21;
const IR_VERSION = 10;

const STORED_AS = { F32: 'float32', F16: 'float16', BF16: 'bfloat16', U8: 'uint8' } as const;

export interface OnnxModel {
  readonly bytes: Uint8Array;
  /** Weight files by the name under which the model expects each beside itself. */
  readonly weightFiles: ReadonlyMap<string, WeightFile>;
  /** Whether it has packed 4-bit weights. */
  readonly packed: boolean;
  /** How many nodes the graph has. */
  readonly nodes: number;
}

/** The ONNX model that computes `outputs` by name. */
export function lowerToOnnx(
  outputs: Readonly<Record<string, Value>>,
  device: Device,
  precision: Precision = 'float32',
): OnnxModel {
  const names = Object.keys(outputs);
  const probe = new ModelWriter(device);
  const values = simplify(Object.values(outputs), (node) => probe.hasFused(node));
  const order = inTopologicalOrder(values);
  const packed = order.some((value) => value.kind === 'weight' && value.source.dtype === 'U8');
  const writer = new ModelWriter(device, precision, packed);
  for (const value of order) writer.write(value);
  values.forEach((value, i) => writer.output(names[i]!, value));
  return writer.finish();
}

class ModelWriter implements Lowering {
  readonly device: Device;
  readonly #nodes: object[] = [];
  readonly #initializers: object[] = [];
  readonly #inputs: object[] = [];
  readonly #outputs: object[] = [];
  readonly #names = new Map<Value, string>();
  readonly #constants = new Map<string, string>();
  readonly #casts = new Map<string, string>();
  readonly #weightFiles = new Map<string, WeightFile>();
  readonly #precision: Precision;
  /** Whether there are packed 4-bit weights. */
  readonly #packed: boolean;
  /** What the node that is being written computes in. */
  #current: Precision = 'float32';
  /** Names of half-precision values; all other floats are float32. */
  readonly #halves = new Set<string>();

  constructor(device: Device, precision: Precision = 'float32', packed = false) {
    this.device = device;
    this.#packed = packed;
    this.#precision = precision;
  }

  /** Whether the device has a fused kernel for a composite: asked by lowering it into this writer, which is thrown away. */
  hasFused(node: Application): boolean {
    const { operator } = node;
    if (operator.kind !== 'composite' || operator.lower === undefined) return false;
    return (
      operator.lower(
        this,
        node.inputs.map(() => ''),
        node,
      ) !== null
    );
  }

  write(value: Value): void {
    this.#names.set(value, this.#lower(value));
  }

  output(name: string, value: Value): void {
    this.#nodes.push({ operator: 'Identity', inputs: [this.#inPrecision(value, 'float32')], outputs: [name] });
    this.#outputs.push(valueInfo(name, value));
  }

  finish(): OnnxModel {
    const bytes = encodeModel({
      irVersion: IR_VERSION,
      producerName: 'prefmesh',
      operatorSets: [
        { domain: '', version: OPSET },
        { domain: 'com.microsoft', version: 1 },
      ],
      graph: {
        name: 'graph',
        nodes: this.#nodes,
        initializers: this.#initializers,
        inputs: this.#inputs,
        outputs: this.#outputs,
      },
    });
    return { bytes, weightFiles: this.#weightFiles, packed: this.#packed, nodes: this.#nodes.length };
  }

  emit(
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    domain = '',
  ): string {
    const output = `v${this.#nodes.length}`;
    if (this.#current === 'float16') this.#halves.add(output);
    const encoded = Object.entries(attributes).map(([name, value]) => attribute(name, value));
    this.#nodes.push({ operator, inputs, outputs: [output], attributes: encoded, domain });
    return output;
  }

  int64(values: readonly number[]): string {
    const raw = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.#shared(`int64 ${values.join(' ')}`, {
      extents: [values.length],
      elementType: ELEMENT_TYPE.int64,
      raw,
    });
  }

  float(value: number): string {
    const type = this.#current;
    const bytes = type === 'float32' ? Float32Array.of(value) : Float16Array.of(value);
    const raw = new Uint8Array(bytes.buffer);
    return this.#shared(`${type} ${value}`, { extents: [], elementType: ELEMENT_TYPE[type], raw });
  }

  asInt64(name: string): string {
    return this.#cast(name, 'int64');
  }

  #lower(value: Value): string {
    switch (value.kind) {
      case 'input':
        this.#inputs.push(valueInfo(value.name, value));
        return value.name;
      case 'constant':
        return this.#constant(value);
      case 'weight':
        return this.#weight(value);
      case 'application': {
        const stored = this.device === 'cpu' ? storedRows(value) : undefined;
        if (stored !== undefined) return this.#weight(stored.rows, stored.whole);
        const precision = this.#precisionOf(value);
        const held = value.inputs.map((each) => this.#inPrecision(each, precision));
        // The CPU has few kernels in half precision: it holds values in it, and computes in float32.
        const widened = this.device === 'cpu' && precision === 'float16';
        this.#current = widened ? 'float32' : precision;
        const inputs = widened ? held.map((each) => this.#widened(each)) : held;
        const result = value.operator.lower?.(this, inputs, value);
        this.#current = 'float32';
        const name = widened && result ? this.#cast(result, 'float16') : result;
        if (name === undefined || name === null) throw new Error(`${value.operator.name} cannot be lowered`);
        return name;
      }
    }
  }

  #precisionOf({ operator, attributes, inputs }: Application): Precision {
    if (this.#precision === 'float32') return 'float32';
    switch (operator.precision?.(attributes) ?? 'float32') {
      case 'half':
        return 'float16';
      case 'float32':
        return 'float32';
      case 'as given': {
        const floats = inputs.filter(({ type }) => type === 'float32');
        const settled = floats.filter((each) => !takesAnyPrecision(each));
        const half = settled.length > 0 && settled.every((each) => this.#halves.has(this.#names.get(each)!));
        return half ? 'float16' : 'float32';
      }
    }
  }

  /** The name of a value; of a float, in the given precision. */
  #inPrecision(value: Value, precision: Precision): string {
    const name = this.#names.get(value)!;
    const half = this.#halves.has(name);
    if (value.type !== 'float32' || half === (precision === 'float16')) return name;
    return this.#cast(name, precision);
  }

  #widened(name: string): string {
    return this.#halves.has(name) ? this.#cast(name, 'float32') : name;
  }

  #cast(name: string, type: 'int64' | Precision): string {
    const key = `${name} ${type}`;
    const known = this.#casts.get(key);
    if (known !== undefined) return known;
    const before = this.#current;
    this.#current = type === 'float16' ? type : 'float32';
    const cast = this.emit('Cast', [name], { to: ELEMENT_TYPE[type] });
    this.#current = before;
    this.#casts.set(key, cast);
    return cast;
  }

  #constant({ data, shape, type }: Constant): string {
    const name = `c${this.#initializers.length}`;
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#initializers.push({ name, extents: shape, elementType: ELEMENT_TYPE[type], raw });
    return name;
  }

  /** `whole`: the weight that `source` is some rows of, or itself. A widened copy is of the whole, for all its parts. */
  #weight({ source, type }: Weight, whole: WeightSource = source): string {
    const stored: OnnxElementType = STORED_AS[source.dtype];
    // Other devices convert them once, when the graph is loaded; not where that would unpack 4-bit weights too.
    const widened = (this.device === 'cpu' || this.#packed) && (source.dtype === 'F16' || source.dtype === 'BF16');
    const key = fileKey(source.file);
    const beside = widened ? `${key}-${whole.offset}.f32` : `${key}-${path.basename(source.file)}`;
    this.#weightFiles.set(beside, widened ? { file: source.file, widened: whole } : { file: source.file });
    const range = widened ? [2 * (source.offset - whole.offset), 2 * source.bytes] : [source.offset, source.bytes];
    const external = { location: beside, offset: String(range[0]), length: String(range[1]) };
    const elementType = widened ? ELEMENT_TYPE.float32 : ELEMENT_TYPE[stored];
    this.#initializers.push({
      name: source.name,
      extents: source.shape,
      elementType,
      location: EXTERNAL_LOCATION,
      external: Object.entries(external).map(([key, value]) => ({ key, value })),
    });
    const asWanted = elementType === ELEMENT_TYPE[type];
    if (elementType === ELEMENT_TYPE.float16 && this.#precision === 'float16') {
      this.#halves.add(source.name);
      return source.name;
    }
    return asWanted ? source.name : this.emit('Cast', [source.name], { to: ELEMENT_TYPE[type] });
  }

  #shared(key: string, tensor: object): string {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = `k${this.#constants.size}`;
    this.#initializers.push({ name, ...tensor });
    this.#constants.set(key, name);
    return name;
  }
}

/** A name for a weight file: the same in every graph, whatever the order it is met in. */
function fileKey(file: string): string {
  return createHash('sha256').update(path.resolve(file)).digest('hex').slice(0, 12);
}

/** Weights and numbers that are exact enough in either precision. */
function takesAnyPrecision(value: Value): boolean {
  return value.kind === 'weight' || (value.kind === 'constant' && value.data.length === 1);
}

interface StoredRows {
  readonly rows: Weight;
  readonly whole: WeightSource;
}

/**
 * The weight that a slice of a weight is, where it is some of its rows: a range of the same file. Where the file's pages
 * are used as they are, that saves a copy of them.
 */
function storedRows({ operator, inputs: [whole], attributes, shape }: Application): StoredRows | undefined {
  if (operator.name !== 'slice' || whole?.kind !== 'weight' || !sameShape(shape.slice(1), whole.shape.slice(1))) return;
  const { source } = whole;
  const first = (attributes as SliceAttributes).starts[0]!;
  const rowBytes = source.bytes / whole.shape[0]!;
  const [offset, bytes] = [source.offset + first * rowBytes, shape[0]! * rowBytes];
  const rows = weight({ ...source, name: `${source.name}[${first}+${shape[0]}]`, shape, offset, bytes });
  return { rows, whole: source };
}

function attribute(name: string, value: OnnxAttribute): object {
  if (typeof value === 'number') return { name, int: value, type: ATTRIBUTE_TYPE.int };
  if (typeof value === 'string') return { name, string: Buffer.from(value), type: ATTRIBUTE_TYPE.string };
  if ('float' in value) return { name, float: value.float, type: ATTRIBUTE_TYPE.float };
  return { name, ints: value, type: ATTRIBUTE_TYPE.ints };
}

function valueInfo(name: string, { shape, type }: Value): object {
  const extents = shape.map((value) => ({ value }));
  return { name, type: { tensor: { elementType: ELEMENT_TYPE[type], shape: { extents } } } };
}
