// SPDX-License-Identifier: Apache-2.0
//
// The products of four s8 with four s8, added up; NATIVE_DOT: by the device's
// instruction, OpSDotKHR, which this version of GLSL has no function for.

#ifdef NATIVE_DOT
#extension GL_EXT_spirv_intrinsics : require
#define PACKED_4X8 0  // PackedVectorFormat4x8Bit
// Capabilities DotProductKHR and DotProductInput4x8BitPackedKHR.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"],
                  capabilities = [6019, 6018], id = 4450)
int dot_instruction(int a, int b, spirv_literal int format);
int dot_four(int a, int b) { return dot_instruction(a, b, PACKED_4X8); }
#else
int dot_four(int a, int b) {
  return bitfieldExtract(a, 0, 8) * bitfieldExtract(b, 0, 8) +
         bitfieldExtract(a, 8, 8) * bitfieldExtract(b, 8, 8) +
         bitfieldExtract(a, 16, 8) * bitfieldExtract(b, 16, 8) +
         (a >> 24) * (b >> 24);
}
#endif
