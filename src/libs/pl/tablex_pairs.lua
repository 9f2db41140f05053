-- The functions of `pl.tablex` over two tables or more, and over ranges of lists.

local List = require "pl.List"
local utils = require "pl.utils"

return function(M)
  --- Whether two lists have the same items in the same order, by `same` or by equality.
  function M.compare(a, b, same)
    if #a ~= #b then
      return false
    end
    same = same and utils.function_arg(3, same)
    for i = 1, #a do
      if same and not same(a[i], b[i]) or not same and a[i] ~= b[i] then
        return false
      end
    end
    return true
  end

  --- How often each value is in a list.
  function M.count_map(list, same)
    local counts = {}
    for _, v in ipairs(list) do
      local key = v
      for k in pairs(same and counts or {}) do
        if utils.function_arg(2, same)(k, v) then
          key = k
          break
        end
      end
      counts[key] = (counts[key] or 0) + 1
    end
    return counts
  end

  --- A new table of `f(a[k], b[k])` for the keys of `a`.
  function M.map2(f, a, b, ...)
    f = utils.function_arg(1, f)
    local new = {}
    for k, v in pairs(a) do
      new[k] = f(v, b[k], ...)
    end
    return new
  end

  --- The same for lists, as long as the shorter one.
  function M.imap2(f, a, b, ...)
    f = utils.function_arg(1, f)
    local new = {}
    for i = 1, math.min(#a, #b) do
      new[i] = f(a[i], b[i], ...)
    end
    return new
  end

  --- A list of `f(a[i], b[i], ...)`, as long as the shortest list.
  function M.mapn(f, ...)
    f = utils.function_arg(1, f)
    local lists, n, new = { ... }, math.huge, {}
    for _, list in ipairs(lists) do
      n = math.min(n, #list)
    end
    for i = 1, n do
      local args = {}
      for j, list in ipairs(lists) do
        args[j] = list[i]
      end
      new[i] = f(unpack(args, 1, #lists))
    end
    return new
  end

  --- A list of lists with an item of each.
  function M.zip(...)
    return M.mapn(function(...) return { ... } end, ...)
  end

  --- `list[i]:name(...)` for each.
  function M.map_named_method(name, list, ...)
    local new = {}
    for i = 1, #list do
      new[i] = list[i][name](list[i], ...)
    end
    return new
  end

  --- Applies a function to the values, in place.
  function M.transform(f, t, ...)
    f = utils.function_arg(1, f)
    for k, v in pairs(t) do
      t[k] = f(v, ...)
    end
  end

  --- The values at a list of keys.
  function M.index_by(t, keys)
    local new = List()
    for i = 1, #keys do
      new[i] = t[keys[i]]
    end
    return new
  end

  --- A list of n values, or of what `value(i)` returns.
  function M.new(n, value)
    local new = List()
    for i = 1, n do
      new[i] = utils.is_callable(value) and value(i) or value
    end
    return new
  end

  --- Sets items `first` to `last` to a value, or to what it returns for each place.
  function M.set(t, value, first, last)
    first, last = first or 1, last or #t
    for i = first, last do
      t[i] = utils.is_callable(value) and value(i) or value
    end
  end

  -- Copies n items; what lies behind them in `to` is cut off with `cut`.
  local function copied(cut)
    return function(to, from, at, start, n)
      at, start = at or 1, start or 1
      n = math.min(n or math.huge, #from - start + 1)
      local back = to == from and at > start -- items are not to overrun those still to come
      for i = back and n - 1 or 0, back and 0 or n - 1, back and -1 or 1 do
        to[at + i] = from[start + i]
      end
      for i = #to, cut and at + n or #to + 1, -1 do
        to[i] = nil
      end
      return to
    end
  end

  M.icopy = copied(true)
  M.move = copied(false)
end
