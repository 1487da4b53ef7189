import assert from 'node:assert/strict';
import {
  consistencyProof,
  inclusionProof,
  merkleRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../protocol/merkle.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The test entries of the Certificate Transparency implementations, and the roots of their first n. */
const ENTRIES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((text) => new Uint8Array(Buffer.from(text, 'hex')));
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

describe('Merkle tree', () => {
  it('has the roots of the Certificate Transparency vectors', () => {
    ROOTS.forEach((root, size) => assert.equal(hex(merkleRoot(ENTRIES.slice(0, size))), root, `${size} entries`));
  });

  it('proves every entry of every size up to 64, and proves no other', () => {
    for (let size = 1; size <= 64; size++) {
      const entries = Array.from({ length: size }, (_, i) => Uint8Array.of(i));
      const root = merkleRoot(entries);
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(entries, index);
        const claim = { index, size, proof, root };
        assert.ok(verifyInclusion(entries[index]!, claim), `${index} of ${size}`);
        assert.ok(!verifyInclusion(Uint8Array.of(200), claim), 'another entry');
        assert.ok(!verifyInclusion(entries[index]!, { ...claim, index: index + size }), 'beyond the end');
        assert.ok(!verifyInclusion(entries[index]!, { ...claim, proof: [...proof, root] }), 'a longer proof');
        if (size > 1) {
          assert.ok(!verifyInclusion(entries[index]!, { ...claim, index: (index + 1) % size }), 'another place');
          assert.ok(!verifyInclusion(entries[index]!, { ...claim, proof: proof.slice(1) }), 'a shorter proof');
          const tampered = proof.map((node) => Uint8Array.from(node));
          tampered[0]![0]! ^= 1;
          assert.ok(!verifyInclusion(entries[index]!, { ...claim, proof: tampered }), 'a changed proof');
        }
      }
    }
  });

  it('has the consistency proofs of the Certificate Transparency vectors', () => {
    const proofs: [number, number, string[]][] = [
      [1, 1, []],
      [
        1,
        8,
        [
          '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
          '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
          '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
        ],
      ],
      [
        6,
        8,
        [
          '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
          'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
          'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
        ],
      ],
      [
        2,
        5,
        [
          '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
          'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
        ],
      ],
    ];
    for (const [oldSize, newSize, expected] of proofs) {
      assert.deepEqual(consistencyProof(ENTRIES.slice(0, newSize), oldSize).map(hex), expected);
    }
  });

  it('proves that every list up to 64 goes on from every shorter one, and from no other', () => {
    const entries = Array.from({ length: 64 }, (_, i) => Uint8Array.of(i));
    for (let newSize = 1; newSize <= 64; newSize++) {
      const newRoot = merkleRoot(entries.slice(0, newSize));
      for (let oldSize = 1; oldSize <= newSize; oldSize++) {
        const oldRoot = merkleRoot(entries.slice(0, oldSize));
        const proof = consistencyProof(entries.slice(0, newSize), oldSize);
        const claim = { oldSize, oldRoot, newSize, newRoot, proof };
        assert.ok(verifyConsistency(claim), `${oldSize} of ${newSize}`);
        const other = merkleRoot([Uint8Array.of(200), ...entries.slice(1, oldSize)]);
        assert.ok(!verifyConsistency({ ...claim, oldRoot: other }), `another beginning, ${oldSize} of ${newSize}`);
        assert.ok(!verifyConsistency({ ...claim, newRoot: other }), `another end, ${oldSize} of ${newSize}`);
        assert.ok(!verifyConsistency({ ...claim, proof: [...proof, oldRoot] }), 'a longer proof');
        if (proof.length > 0) {
          assert.ok(!verifyConsistency({ ...claim, proof: proof.slice(0, -1) }), 'a shorter proof');
          const tampered = proof.map((node) => Uint8Array.from(node));
          tampered.at(-1)![31]! ^= 1;
          assert.ok(!verifyConsistency({ ...claim, proof: tampered }), 'a changed proof');
        }
      }
    }
  });

  it('lets every list go on from the empty one, and none from a longer one', () => {
    const empty = { oldSize: 0, oldRoot: merkleRoot([]), newSize: 8, newRoot: merkleRoot(ENTRIES), proof: [] };
    assert.ok(verifyConsistency(empty));
    assert.ok(!verifyConsistency({ ...empty, oldRoot: merkleRoot(ENTRIES) }));
    assert.ok(!verifyConsistency({ ...empty, oldSize: 9 }));
    assert.throws(() => consistencyProof(ENTRIES, ENTRIES.length + 1), RangeError);
  });

  it('has no proof for an entry that is not there', () => {
    assert.throws(() => inclusionProof(ENTRIES, ENTRIES.length), RangeError);
    assert.throws(() => inclusionProof([], 0), RangeError);
  });
});
