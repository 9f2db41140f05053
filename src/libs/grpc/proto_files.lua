-- The .proto files that others import and that are found nowhere else: shapes of well-known messages.

local head = 'syntax = "proto3"; package google.protobuf; '

local wrappers = {}
for _, kind in ipairs { "Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes" } do
  wrappers[#wrappers + 1] = ("message %sValue { %s value = 1; }"):format(kind, kind:lower())
end

return {
  ["google/protobuf/any.proto"] = head .. "message Any { string type_url = 1; bytes value = 2; }",
  ["google/protobuf/duration.proto"] = head .. "message Duration { int64 seconds = 1; int32 nanos = 2; }",
  ["google/protobuf/empty.proto"] = head .. "message Empty {}",
  ["google/protobuf/field_mask.proto"] = head .. "message FieldMask { repeated string paths = 1; }",
  ["google/protobuf/timestamp.proto"] = head .. "message Timestamp { int64 seconds = 1; int32 nanos = 2; }",
  ["google/protobuf/wrappers.proto"] = head .. table.concat(wrappers, " "),
  ["google/protobuf/struct.proto"] = head .. [[
    message Struct { map<string, Value> fields = 1; }
    message Value {
      oneof kind {
        NullValue null_value = 1; double number_value = 2; string string_value = 3; bool bool_value = 4;
        Struct struct_value = 5; ListValue list_value = 6;
      }
    }
    enum NullValue { NULL_VALUE = 0; }
    message ListValue { repeated Value values = 1; }
  ]],
  -- only options, which are kept by name
  ["google/protobuf/descriptor.proto"] = 'syntax = "proto2"; package google.protobuf;',
  ["google/api/annotations.proto"] = 'syntax = "proto3"; package google.api;',
  ["google/api/http.proto"] = 'syntax = "proto3"; package google.api;',
}
