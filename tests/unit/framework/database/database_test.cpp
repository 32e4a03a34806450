// SPDX-License-Identifier: Apache-2.0
//
// A file is ours, whole and of a version we know, or it is refused by name.

#include "framework/database/database.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/framework/base/scratch_folder.hpp"

namespace tessera {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::array<const char*, 2> kSteps = {
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, "
    "samples BLOB)",
    "ALTER TABLE item ADD COLUMN weight REAL"};
const Schema kSchema = {0x54737274, "list of items", kSteps};

Result<Database> open(const std::string& path,
                      Database::Access access = Database::Access::kReadWrite) {
  return Database::open(path, kSchema, access);
}

Status add_item(Database& database, const std::string& name) {
  TSR_ASSIGN_OR_RETURN(Statement insert,
                       database.prepare("INSERT INTO item(name) VALUES (?)"));
  return insert.bind(name).run();
}

int64_t count_items(Database& database) {
  Result<Statement> count = database.prepare("SELECT count(*) FROM item");
  EXPECT_TRUE(count.ok());
  const Result<bool> row = count->step();
  EXPECT_TRUE(row.ok() && *row);
  return count->integer(0);
}

TEST(Database, KeepsValuesOfEachKind) {
  const ScratchFolder folder;
  const std::string path = folder.path("new/folders/items.db");
  const std::string text("quote ' nul \0 \xc3\xa9", 15);
  const std::vector<double> samples = {
      0.1, -INFINITY, std::numeric_limits<double>::denorm_min()};
  {
    Result<Database> database = open(path);
    ASSERT_TRUE(database.ok()) << database.status().message();
    Result<Statement> insert = database->prepare(
        "INSERT INTO item(name, samples, weight) VALUES (?, ?, ?)");
    ASSERT_TRUE(insert.ok()) << insert.status().message();
    ASSERT_TRUE(insert->bind(text).bind(samples).bind(0.3).run().ok());
    EXPECT_EQ(database->last_row_id(), 1);
    ASSERT_TRUE(
        insert->bind("").bind(std::vector<double>()).bind_null().run().ok());
  }
  Result<Database> database = open(path, Database::Access::kReadOnly);
  ASSERT_TRUE(database.ok()) << database.status().message();
  Result<Statement> select = database->prepare(
      "SELECT id, name, samples, weight FROM item ORDER BY id");
  ASSERT_TRUE(select.ok());
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->integer(0), 1);
  EXPECT_EQ(select->text(1), text);
  EXPECT_EQ(*select->numbers(2), samples);
  EXPECT_EQ(select->number(3), 0.3);
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->text(1), "");
  EXPECT_THAT(*select->numbers(2), ElementsAre());
  EXPECT_TRUE(select->is_null(3));
  EXPECT_FALSE(*select->step());
  EXPECT_EQ(database->check().message(), "");
}

TEST(Database, TransactionIsAllOrNothing) {
  const ScratchFolder folder;
  Result<Database> database = open(folder.path("items.db"));
  ASSERT_TRUE(database.ok()) << database.status().message();
  const Status status = database->transact([&]() -> Status {
    TSR_RETURN_IF_ERROR(add_item(*database, "a"));
    TSR_RETURN_IF_ERROR(add_item(*database, "b"));
    return add_item(*database, "a");
  });
  EXPECT_EQ(status.code(), TSR_INVALID_ARGUMENT);
  EXPECT_THAT(status.message(), HasSubstr("UNIQUE constraint failed"));
  EXPECT_EQ(count_items(*database), 0);
  ASSERT_TRUE(
      database->transact([&] { return add_item(*database, "a"); }).ok());
  EXPECT_EQ(count_items(*database), 1);
}

TEST(Database, SeveralWritersWaitForEachOther) {
  const ScratchFolder folder;
  const std::string path = folder.path("items.db");
  const auto write = [&](const std::string& prefix) {
    Result<Database> database = open(path);
    ASSERT_TRUE(database.ok()) << database.status().message();
    for (int i = 0; i < 10; ++i) {
      const Status status = database->transact(
          [&] { return add_item(*database, prefix + std::to_string(i)); });
      EXPECT_TRUE(status.ok()) << status.message();
    }
  };
  std::thread other([&] { write("x"); });
  write("y");
  other.join();
  Result<Database> database = open(path);
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(count_items(*database), 20);
}

TEST(Database, BringsAnOlderFileUpToDate) {
  const ScratchFolder folder;
  const std::string path = folder.path("items.db");
  Schema first = kSchema;
  first.steps = first.steps.first(1);
  {
    Result<Database> database = Database::open(path, first);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(add_item(*database, "kept").ok());
  }
  EXPECT_THAT(open(path, Database::Access::kReadOnly).status().message(),
              HasSubstr("a list of items of version 1, not 2"));
  Result<Database> database = open(path);
  ASSERT_TRUE(database.ok()) << database.status().message();
  EXPECT_EQ(count_items(*database), 1);
  EXPECT_TRUE(database->prepare("SELECT weight FROM item").ok());
  const Result<Database> old = Database::open(path, first);
  EXPECT_EQ(old.status().code(), TSR_FAILED_PRECONDITION);
  EXPECT_THAT(old.status().message(),
              HasSubstr("of version 2; this program knows up to 1"));
}

TEST(Database, RefusesWhatIsNotOurs) {
  const ScratchFolder folder;
  Schema other = kSchema;
  other.application_id += 1;
  ASSERT_TRUE(Database::open(folder.path("other.db"), other).ok());
  EXPECT_THAT(open(folder.path("other.db")).status().message(),
              HasSubstr("other.db: a SQLite database, but no list of items"));

  folder.write("text.db", std::string(5000, 'x'));
  const Status text = open(folder.path("text.db")).status();
  EXPECT_EQ(text.code(), TSR_DATA_LOSS);
  EXPECT_THAT(text.message(), HasSubstr("text.db: not a SQLite database"));

  EXPECT_EQ(
      open(folder.path("none.db"), Database::Access::kReadOnly).status().code(),
      TSR_NOT_FOUND);
  EXPECT_FALSE(std::filesystem::exists(folder.path("none.db")));
  folder.write("file", "");
  EXPECT_THAT(open(folder.path("file/items.db")).status().message(),
              HasSubstr("create " + folder.path("file")));
}

TEST(Database, NoticesDamage) {
  const ScratchFolder folder;
  const std::string path = folder.path("items.db");
  {
    Result<Database> database = open(path);
    ASSERT_TRUE(database.ok());
    for (int i = 0; i < 500; ++i) {
      ASSERT_TRUE(
          add_item(*database, std::string(50, 'x') + std::to_string(i)).ok());
    }
  }
  const std::string whole = folder.read("items.db");
  // Pages after the first, which holds the schema, overwritten or cut off.
  std::string overwritten = whole;
  overwritten.replace(2 * 4096, 4096, std::string(4096, '\x55'));
  for (const std::string& bytes :
       {overwritten, whole.substr(0, whole.size() / 2)}) {
    folder.write("items.db", bytes);
    Result<Database> database = open(path);
    const Status status = database.ok() ? database->check() : database.status();
    EXPECT_EQ(status.code(), TSR_DATA_LOSS) << status.message();
    EXPECT_THAT(status.message(), HasSubstr("items.db: damaged: "));
  }
}

TEST(Statement, ReportsWhatCannotBeBoundOrRead) {
  const ScratchFolder folder;
  Result<Database> database = open(folder.path("items.db"));
  ASSERT_TRUE(database.ok());
  Result<Statement> statement =
      database->prepare("INSERT INTO item(name, samples) VALUES (?, 'text')");
  ASSERT_TRUE(statement.ok());
  EXPECT_EQ(statement->bind("a").bind("b").run().code(), TSR_INVALID_ARGUMENT);
  ASSERT_TRUE(statement->bind("a").run().ok());
  Result<Statement> select = database->prepare("SELECT samples FROM item");
  ASSERT_TRUE(select.ok());
  ASSERT_TRUE(*select->step());
  EXPECT_THAT(select->numbers(0).status().message(),
              HasSubstr("samples is no list of numbers"));
  EXPECT_FALSE(database->prepare("SELECT nothing FROM item").ok());
}

}  // namespace
}  // namespace tessera
