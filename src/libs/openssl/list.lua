--- What stands for OpenSSL's stacks: objects with elements by number, `pairs`, `#`, `each`, `index`, `count` and
--- `all`.

local tonumber = tonumber

local _M = {}

--- The metatable of the lists of a module: `count` says how many elements there are, `get` gives element `i` or
--- nil.
function _M.mt(module, count, get)
  local function each(self)
    local i = 0
    return function()
      i = i + 1
      local v = get(self, i)
      if v ~= nil then
        return i, v
      end
    end
  end

  local mt = {
    __pairs = each,
    __ipairs = each,
    __len = count,
    __index = function(self, k)
      local i = tonumber(k)
      if not i then
        return module[k]
      end
      return get(self, i)
    end,
  }
  module.each, module.index, module.count = each, mt.__index, count

  --- All elements in a table.
  function module:all()
    local all = {}
    for i, v in each(self) do
      all[i] = v
    end
    return all
  end

  return mt
end

return _M
