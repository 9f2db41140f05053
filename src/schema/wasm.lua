-- `kong.runloop.wasm`: WebAssembly filters, of which there are none: who asks is told that they are off.

local OFF = "wasm support is not enabled"

local M = {
  filters = {},
  filters_by_name = {},
  filter_names = {},
  filter_meta = {},
}

--- false: filters do not run here.
function M.enabled()
  return false
end

--- nil and why there are no filters; an entity check of filter chains.
function M.status()
  return nil, OFF
end

return M
