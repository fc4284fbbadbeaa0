// PgJDBC with setString, as Hibernate and Spring bind a String. One connection, in autocommit.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;

public class Client {
    private static final Map<String, String> TEXTS = Map.of(
        "insert", "INSERT INTO item (id, owner_id, note) VALUES (?, ?, 'x')",
        "by id", "SELECT id FROM item WHERE id = ?",
        "IN", "SELECT note FROM item WHERE id IN (?, ?)",
        "ANY", "SELECT note FROM item WHERE id = ANY (?)",
        "join", "SELECT i.note FROM item i JOIN owner o ON o.id = i.owner_id WHERE o.id = ?",
        "update", "UPDATE item SET owner_id = ? WHERE id = ?",
        "delete", "DELETE FROM item WHERE id = ?");

    private static final Map<String, PreparedStatement> KEPT = new HashMap<>();

    private static String run(Connection connection, String kind, String item, String owner, String other)
            throws SQLException {
        PreparedStatement statement = KEPT.get(kind);
        if (statement == null) {
            statement = connection.prepareStatement(TEXTS.get(kind));
            KEPT.put(kind, statement);
        }
        switch (kind) {
            case "insert" -> { statement.setString(1, item); statement.setString(2, owner); }
            case "IN" -> { statement.setString(1, item); statement.setString(2, other); }
            case "ANY" -> statement.setArray(1, connection.createArrayOf("varchar", new String[] {item, other}));
            case "join" -> statement.setString(1, owner);
            case "update" -> { statement.setString(1, owner); statement.setString(2, item); }
            default -> statement.setString(1, item);
        }
        if (!statement.execute()) {
            return "";
        }
        try (ResultSet rows = statement.getResultSet()) {
            return rows.next() && kind.equals("by id") ? rows.getString(1).getClass().getSimpleName() : "";
        }
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(
                System.getenv("CLIENT_URL"), System.getenv("CLIENT_USER"), System.getenv("CLIENT_PASSWORD"))) {
            System.out.println("ok\t");
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] said = line.split("\t");
                try {
                    System.out.println("ok\t" + run(connection, said[0], said[1], said[2], said[3]));
                } catch (SQLException error) {
                    System.out.println("error\t" + error.getMessage().replaceAll("\\s+", " "));
                }
            }
        }
    }
}
