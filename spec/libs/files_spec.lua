local dir = require "pl.dir"
local lfs = require "lfs"
local path = require "pl.path"
local file = require "pl.file"

describe("B2 files", function()
  local root

  before_each(function()
    root = os.tmpname()
    os.remove(root)
    assert(dir.makepath(root .. "/a/b"))
    assert(file.write(root .. "/a/x.lua", "12345"))
    assert(file.write(root .. "/a/b/y.txt", ""))
  end)

  after_each(function()
    if path.isdir(root) then
      assert(dir.rmtree(root))
    end
  end)

  it("B2 lfs tells attributes, all or one", function()
    local all = assert(lfs.attributes(root .. "/a/x.lua"))
    assert.equal("file", all.mode)
    assert.equal(5, all.size)
    assert.equal("directory", lfs.attributes(root, "mode"))
    assert.equal(9, #all.permissions)
    local none, err, code = lfs.attributes(root .. "/none")
    assert.is_nil(none)
    assert.equal("cannot obtain information from file '" .. root .. "/none': No such file or directory", err)
    assert.equal(2, code)
    assert.has_error(function() lfs.attributes(root, "colour") end, "invalid attribute name 'colour'")
  end)

  it("B2 lfs lists, makes and removes folders, and links", function()
    local seen = {}
    for name in lfs.dir(root .. "/a") do seen[name] = true end
    assert.same({ ["."] = true, [".."] = true, b = true, ["x.lua"] = true }, seen)
    assert.is_true(lfs.mkdir(root .. "/c"))
    local ok, err = lfs.mkdir(root .. "/c")
    assert.is_nil(ok)
    assert.equal("File exists", err)
    assert.is_true(lfs.rmdir(root .. "/c"))
    assert.is_true(lfs.link(root .. "/a/x.lua", root .. "/l", true))
    assert.equal("link", lfs.symlinkattributes(root .. "/l", "mode"))
    assert.equal(root .. "/a/x.lua", lfs.symlinkattributes(root .. "/l").target)
    assert.is_true(path.islink(root .. "/l"))
    assert.is_true(lfs.touch(root .. "/a/x.lua", 1000, 2000))
    assert.equal(2000, lfs.attributes(root .. "/a/x.lua", "modification"))
    assert.has_error(function() lfs.dir(root .. "/none") end,
      "cannot open " .. root .. "/none: No such file or directory")
  end)

  it("B2 pl.dir walks trees, by patterns", function()
    assert.same({ root .. "/a/x.lua" }, dir.getfiles(root .. "/a"))
    assert.same({ root .. "/a/b" }, dir.getdirectories(root .. "/a"))
    assert.same({ root .. "/a/b/y.txt" }, dir.getallfiles(root, "*.txt"))
    assert.same({ "x.lua" }, dir.filter({ "x.lua", "x.luac", "xlua" }, "?.lua"))
    assert.is_true((dir.copyfile(root .. "/a/x.lua", root .. "/a/b")))
    assert.equal("12345", file.read(root .. "/a/b/x.lua"))
    assert.is_true(dir.clonetree(root .. "/a", root .. "/d"))
    assert.equal("12345", file.read(root .. "/d/b/x.lua"))
  end)

  it("B2 rmtree follows no link", function()
    assert(lfs.link(root .. "/a", root .. "/l", true))
    local ok, err = dir.rmtree(root .. "/l")
    assert.is_nil(ok)
    assert.equal("will not follow symlink", err)
    assert(dir.makepath(root .. "/e"))
    assert(lfs.link(root .. "/a", root .. "/e/l", true))
    assert.is_true(dir.rmtree(root .. "/e"))
    assert.equal("12345", file.read(root .. "/a/x.lua"))
  end)
end)
