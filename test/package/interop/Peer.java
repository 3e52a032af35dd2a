import com.sun.nio.sctp.MessageInfo;
import com.sun.nio.sctp.SctpChannel;
import com.sun.nio.sctp.SctpServerChannel;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * One end of an association: `Peer.java listen` or `Peer.java connect PORT`.
 * Sends a message, prints those that it receives, and ends after "bye" or with
 * its peer.
 */
public class Peer {
  static final PrintStream OUT =
      new PrintStream(System.out, true, StandardCharsets.UTF_8);

  public static void main(String[] args) throws Exception {
    try (SctpChannel channel =
        args[0].equals("listen") ? accept() : connect(args[1])) {
      MessageInfo attributes = MessageInfo.createOutgoing(null, 5);
      attributes.payloadProtocolID(0x89abcdef).unordered(true);
      byte[] text = "from Java".getBytes(StandardCharsets.UTF_8);
      channel.send(ByteBuffer.wrap(text), attributes);
      while (!receive(channel).equals("bye")) {}
    }
  }

  static SctpChannel connect(String port) throws Exception {
    return SctpChannel.open(address(Integer.parseInt(port)), 0, 0);
  }

  static SctpChannel accept() throws Exception {
    try (SctpServerChannel server = SctpServerChannel.open()) {
      server.bind(address(0));
      InetSocketAddress bound =
          (InetSocketAddress) server.getAllLocalAddresses().iterator().next();
      OUT.println("listening on " + bound.getPort());
      return server.accept();
    }
  }

  static InetSocketAddress address(int port) {
    return new InetSocketAddress("127.0.0.1", port);
  }

  /** Prints one message and returns its text, "bye" also for the end. */
  static String receive(SctpChannel channel) throws Exception {
    ByteBuffer buffer = ByteBuffer.allocate(65536);
    MessageInfo info = channel.receive(buffer, null, null);
    if (info.bytes() < 0) {
      OUT.println("end");
      return "bye";
    }
    buffer.flip();
    String text = StandardCharsets.UTF_8.decode(buffer).toString();
    OUT.printf(
        "sid=%d ppid=%08x unordered=%b text=%s%n",
        info.streamNumber(),
        info.payloadProtocolID(),
        info.isUnordered(),
        text);
    return text;
  }
}
