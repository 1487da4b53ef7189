/**
 * The part of the ONNX file format that compiled graphs use, as protocol-buffer messages.
 *
 * Field numbers are those of the ONNX specification (https://onnx.ai/onnx/repo-docs/IR.html); names are ours.
 */

import protobuf from 'protobufjs';

const repeated = (type: string, id: number) => ({ rule: 'repeated', type, id });
const single = (type: string, id: number) => ({ type, id });

const root = protobuf.Root.fromJSON({
  nested: {
    Model: {
      fields: {
        irVersion: single('int64', 1),
        producerName: single('string', 2),
        graph: single('Graph', 7),
        operatorSets: repeated('OperatorSet', 8),
      },
    },
    OperatorSet: { fields: { domain: single('string', 1), version: single('int64', 2) } },
    Graph: {
      fields: {
        nodes: repeated('Node', 1),
        name: single('string', 2),
        initializers: repeated('Tensor', 5),
        inputs: repeated('ValueInfo', 11),
        outputs: repeated('ValueInfo', 12),
      },
    },
    Node: {
      fields: {
        inputs: repeated('string', 1),
        outputs: repeated('string', 2),
        name: single('string', 3),
        operator: single('string', 4),
        attributes: repeated('Attribute', 5),
        domain: single('string', 7),
      },
    },
    Attribute: {
      fields: {
        name: single('string', 1),
        float: single('float', 2),
        int: single('int64', 3),
        string: single('bytes', 4),
        ints: repeated('int64', 8),
        type: single('int32', 20),
      },
    },
    Tensor: {
      fields: {
        extents: repeated('int64', 1),
        elementType: single('int32', 2),
        name: single('string', 8),
        raw: single('bytes', 9),
        external: repeated('Entry', 13),
        location: single('int32', 14),
      },
    },
    Entry: { fields: { key: single('string', 1), value: single('string', 2) } },
    ValueInfo: { fields: { name: single('string', 1), type: single('Type', 2) } },
    Type: { fields: { tensor: single('TensorType', 1) } },
    TensorType: { fields: { elementType: single('int32', 1), shape: single('TensorShape', 2) } },
    TensorShape: { fields: { extents: repeated('Extent', 1) } },
    Extent: { fields: { value: single('int64', 1) } },
  },
});

export const ELEMENT_TYPE = { float32: 1, uint8: 2, int32: 6, int64: 7, float16: 10, bfloat16: 16 } as const;

export type OnnxElementType = keyof typeof ELEMENT_TYPE;

/** Where a tensor's bytes are: in the message, or in a file beside it. */
export const EXTERNAL_LOCATION = 1;

/** The kinds of attribute in use. */
export const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** A model message as bytes. */
export function encodeModel(model: Record<string, unknown>): Uint8Array {
  const type = root.lookupType('Model');
  return type.encode(type.fromObject(model)).finish();
}
